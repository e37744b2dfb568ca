// Work that may take long is left early: whoever starts it says whether, and the work asks often.
#pragma once

#include <functional>

namespace ddro {

// Thrown by leave_if_interrupted(). No std::exception: who handles failures does not take it for one.
struct Interrupted {};

// Until the object ends, leave_if_interrupted() asks `is_wanted`, in this thread. Of several the one made
// last counts.
class Interruptible {
 public:
  explicit Interruptible(std::function<bool()> is_wanted);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  friend void leave_if_interrupted();

  std::function<bool()> is_wanted_;
  const Interruptible* outer_;
};

// For loops that may take more than a second, at least some times in one: throws Interrupted if that is
// wanted. A few nanoseconds.
void leave_if_interrupted();

}  // namespace ddro
