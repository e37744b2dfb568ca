#include "ddro/dist/together.h"

#include "ddro/base/error.h"

namespace ddro::dist {
namespace {

// What a rank tells the others: the kind of its error, or none; then what it has.
constexpr int kNone = 0;
constexpr char kEndOfKind = ' ';

std::string told(int kind, const std::string& text) { return std::to_string(kind) + kEndOfKind + text; }

std::string outcome_of(const std::function<std::string()>& work) {
  try {
    return told(kNone, work());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kLost) throw;
    return told(error.exit_code(), error.what());
  }
}

}  // namespace

std::vector<std::string> together(const Communicator& ranks, const std::function<std::string()>& work) {
  std::vector<std::string> all = ranks.exchange(outcome_of(work));
  for (std::string& one : all) {
    const int kind = std::stoi(one);
    one.erase(0, one.find(kEndOfKind) + 1);
    if (kind != kNone) throw Error(static_cast<ErrorKind>(kind), one);
  }
  return all;
}

}  // namespace ddro::dist
