// Completions under prompts that are not theirs.
#pragma once

#include <cstdint>
#include <span>

#include "ddro/data/dataset.h"

namespace ddro::data {

// Each of `examples` with its own prompts, but the completions of the example before it (of the last one for
// the first), chosen for chosen and rejected for rejected in pairs. Classes and weights are the prompts'.
// Completions are cut where the whole has `max_length` tokens; one token stays. Without examples when there
// are fewer than two.
Dataset mismatched_examples(const Dataset& dataset, std::span<const std::int64_t> examples,
                            std::int64_t max_length);

}  // namespace ddro::data
