// What one file of this folder says about its loss. To add a loss: an enumerator of LossType, a file that
// defines NAME_family(), a line in family_of, a test.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ddro/losses/objective.h"

namespace ddro::losses {

struct LossFamily {
  const char* name = "";
  bool reads_reference = true;
  bool needs_pairs = false;
  // Whether the loss, with its other options as they are, has the option `key` of ObjectiveOptions.
  bool (*has_option)(const ObjectiveOptions& options, std::string_view key) = nullptr;
  // `options` are valid; `alpha` is resolved.
  std::unique_ptr<Objective> (*make)(const ObjectiveOptions& options, double alpha) = nullptr;
};

LossFamily family_of(LossType type);

LossFamily ddro_family();
LossFamily rdro_family();
LossFamily sigmoid_family();
LossFamily sft_family();

// Error(kInput) when `max_weight` is not above alpha/(1 - alpha): pi = pi_ref itself would be capped.
void check_max_weight(const ObjectiveOptions& options, double alpha);

// The shortest text that reads back as `value`.
std::string number_text(double value);

}  // namespace ddro::losses
