// The rows of a step, for messages and for the file that shows what went wrong.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"

namespace ddro::run {

// "train.jsonl:3, train.jsonl:17, ..." of a step's first examples.
std::string row_names(const data::Dataset& dataset, const data::StepPlan& plan);

// Writes places, weights and token ids of a step's examples as JSON.
void dump_batch(const std::filesystem::path& path, const data::Dataset& dataset, const data::StepPlan& plan);

}  // namespace ddro::run
