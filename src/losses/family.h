// What a file of this folder says about each of its losses. To add a loss: an enumerator of LossType, an
// entry of its file's list (a new file: its list in family.cpp), a test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/losses/objective.h"

namespace ddro::losses {

using MakeObjective =
    std::function<std::unique_ptr<Objective>(const ObjectiveOptions& options, double alpha)>;

struct LossFamily {
  LossType type = LossType::kDdro;
  const char* name = "";
  const char* other_name = nullptr;
  bool reads_reference = true;
  bool needs_pairs = false;
  bool needs_mismatched = false;
  std::vector<std::string_view> options = {};  // keys of ObjectiveOptions that the loss has
  MakeObjective make = nullptr;                // from valid options and the resolved alpha
};

const LossFamily& family_of(LossType type);

LossFamily ddro_family();
LossFamily rdro_family();
std::vector<LossFamily> pair_families();
std::vector<LossFamily> reference_free_families();
std::vector<LossFamily> kto_families();
LossFamily bco_family();
LossFamily sft_family();
LossFamily mixture_nll_family();

// Error(kInput) when a given `max_weight` is not above alpha/(1 - alpha): pi = pi_ref itself would be capped.
void check_max_weight(const ObjectiveOptions& options, double alpha);

}  // namespace ddro::losses
