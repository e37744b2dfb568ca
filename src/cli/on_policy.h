// Whether a model has written the rows of a set, as density-ratio losses take for granted of the reference.
#pragma once

#include <optional>

#include "ddro/data/dataset.h"
#include "ddro/models/model_folder.h"

namespace ddro::cli {

// Scores every completion by ops::excess_logprobs, whose mean over the mixture of the classes is 0 for the
// model's own samples, and prints what it finds. `alpha`: share of preferred completions among these samples;
// nullopt: that of the rows.
void print_on_policy(const models::ModelFolder& folder, const data::Dataset& dataset,
                     std::optional<double> alpha);

}  // namespace ddro::cli
