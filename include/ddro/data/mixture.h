// Files of a set that an epoch draws a part of, or several times.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/data/data_options.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

// How many of `num_examples` of one class an epoch draws under a weight: to the nearest.
std::int64_t num_draws(double weight, std::int64_t num_examples);

// Gives `dataset`, loaded from `train_files`, their weights. Error(kInput) for a weight so small that it
// draws no row.
void set_mixture(const std::vector<TrainFiles>& train_files, Dataset& dataset);

// The patterns alone, for load_dataset.
std::vector<std::string> patterns_of(const std::vector<TrainFiles>& train_files);

}  // namespace ddro::data
