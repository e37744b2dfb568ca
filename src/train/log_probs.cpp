#include "ddro/train/log_probs.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <utility>

#include "ddro/base/error.h"

namespace ddro::train {

namespace {

template <typename OfHead>
std::vector<double> of_forward(const models::CausalLm& model, const ModelBatch& on_device, OfHead of_head) {
  at::NoGradGuard no_grad;
  const Tensor hidden_CD = model.hidden(on_device.input());
  std::vector<double> values = of_head(on_device.head_input(hidden_CD, model));
  model.end_forward();
  return values;
}

}  // namespace

std::vector<double> ModelLogProbs::of(const data::PackedBatch& batch, const ModelBatch& on_device,
                                      bool keep_pairs) const {
  return of_forward(model_, on_device, [&](const ops::HeadInput& head) {
    return ops::completion_logprobs(head, unit_offsets(batch, keep_pairs));
  });
}

std::vector<double> ModelExcess::of(const data::PackedBatch&, const ModelBatch& on_device, bool) const {
  return of_forward(model_, on_device, [](const ops::HeadInput& head) { return ops::excess_logprobs(head); });
}

LogProbTable::LogProbTable(const data::Dataset& dataset, std::vector<double> logp)
    : first_{0}, logp_(std::move(logp)) {
  for (const data::EncodedExample& example : dataset.examples)
    first_.push_back(first_.back() + example.sequences.size());
  DDRO_CHECK(first_.back() == logp_.size(), "a reference log-probability for each sequence of the set");
}

std::vector<double> LogProbTable::of(const data::PackedBatch& batch, const ModelBatch&, bool) const {
  std::vector<double> logp;
  for (const data::PackedCompletion& completion : batch.completions) {
    const auto example = static_cast<size_t>(completion.example);
    DDRO_CHECK(example + 1 < first_.size(), "a completion of another set than the reference's");
    const size_t index = first_[example] + static_cast<size_t>(completion.sequence);
    DDRO_CHECK(index < first_[example + 1], "a completion of another set than the reference's");
    DDRO_CHECK(!std::isnan(logp_[index]), "a completion whose log-probability is not known");
    logp.push_back(logp_[index]);
  }
  return logp;
}

double log_prob_tolerance(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return 1e-9;
    case at::kFloat:
      return 1e-4;
    default:
      return 0.1;
  }
}

}  // namespace ddro::train
