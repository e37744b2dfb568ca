// What the model of a folder says of every completion of a set.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/models/model_folder.h"
#include "ddro/models/model_options.h"
#include "ddro/train/log_probs.h"

namespace ddro::cli {

// Makes what is scored by: train::ModelLogProbs, train::ModelExcess.
using ValuesOfModel = std::function<std::unique_ptr<train::CompletionValues>(const models::CausalLm&)>;

template <class Values>
ValuesOfModel values_of() {
  return [](const models::CausalLm& model) { return std::make_unique<Values>(model); };
}

// By step_index, with a line of progress named `label`. Error(kInput) for rows that the model cannot read.
std::vector<double> score_folder(const models::ModelFolder& folder, models::ComputeDType dtype,
                                 const data::Dataset& dataset, const data::SetPlan& plan,
                                 const std::string& label, const ValuesOfModel& values);

}  // namespace ddro::cli
