// Which checkpoint a run goes on from.
#pragma once

#include <optional>
#include <string>

#include "ddro/checkpoint/checkpoint.h"
#include "ddro/run/loaded_run.h"
#include "run/identity.h"

namespace ddro::run {

// `resume`: auto (the newest valid one of the run's folder, if any), never, or a checkpoint's folder.
// Error(kInput) for `never` where a run is, and for a checkpoint of another program; Error(kModel) for one
// that does not verify.
std::optional<checkpoint::Checkpoint> find_checkpoint(const std::string& resume, const LoadedRun& run);

// Error(kInput) when the run cannot go on from there: see check_can_resume; or when it ends before.
void check_checkpoint(const checkpoint::Checkpoint& from, const LoadedRun& run, const RunIdentity& identity,
                      const std::set<std::string>& allowed);

}  // namespace ddro::run
