// What a loaded run will do, and in words.
#pragma once

#include <string>

#include "ddro/dist/launch.h"
#include "ddro/run/loaded_run.h"

namespace ddro::run {

// Whether checkpoints are due before the last step.
bool saves_between(const LoadedRun& run);

// Several lines: data, lengths, classes, steps, schedule, memory and disk. `launch`: of one of its ranks.
std::string describe_plan(const LoadedRun& run, const dist::Launch& launch);

// One line at the start of a run.
std::string describe_start(const LoadedRun& run, int sharing_ranks = 1);

}  // namespace ddro::run
