#include "ddro/base/interruption.h"

#include <utility>

namespace ddro {
namespace {

thread_local const Interruptible* innermost = nullptr;

}  // namespace

Interruptible::Interruptible(std::function<bool()> is_wanted)
    : is_wanted_(std::move(is_wanted)), outer_(std::exchange(innermost, this)) {}

Interruptible::~Interruptible() { innermost = outer_; }

void leave_if_interrupted() {
  if (innermost != nullptr && innermost->is_wanted_()) throw Interrupted{};
}

}  // namespace ddro
