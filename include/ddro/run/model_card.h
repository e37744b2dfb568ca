// README.md of a folder that holds a run's weights: a model card as the Hugging Face hub reads it.
#pragma once

#include <cstdint>
#include <string>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// Of the weights after `step` steps: what they come from and how they were trained, as far as the run knows
// it. `evaluation`: the newest one by then, as a line of metrics.jsonl, or an empty object. Two runs of one
// configuration have the same card: no times, no paths of the machine. Of a file or folder that is given by a
// whole path it says the last component, of one in the hub's cache the hub's name.
std::string model_card(const LoadedRun& run, std::int64_t step, const Json& evaluation);

// An adapter's card as that of the model which the adapter makes of its base.
std::string merged_card(std::string card);

}  // namespace ddro::run
