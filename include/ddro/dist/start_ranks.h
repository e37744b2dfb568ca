// `--nproc N`: this program again, as each of N ranks on this machine.
#pragma once

#include <chrono>

namespace ddro::dist {

// Starts the ranks with this process's arguments and waits for them. Signals that ask a run to stop are
// passed on. When a rank fails the others have some seconds to end by themselves, when one has done its work
// `timeout`, but no more than a minute; then they are killed.
// Returns the exit code of the first that failed, 0 if none did; that of ErrorKind::kLost for a rank that a
// signal ended, but 128 + signal where it was passed on.
int start_ranks(int count, std::chrono::seconds timeout);

}  // namespace ddro::dist
