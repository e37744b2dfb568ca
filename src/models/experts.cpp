#include "models/experts.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

namespace ddro::models {
namespace {

std::vector<FeedForward> experts_of(const ExpertsSpec& spec, const ParameterTable& table) {
  std::vector<FeedForward> experts;
  for (std::int64_t i = 0; i < spec.num_experts(); ++i)
    experts.emplace_back(spec.expert(i), table, spec.is_stacked() ? std::optional(i) : std::nullopt);
  return experts;
}

std::vector<std::int64_t> count_each(const Tensor& values, std::int64_t num_values) {
  const Tensor on_cpu = values.to(at::kCPU).contiguous();
  const auto* value = on_cpu.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> counts(static_cast<size_t>(num_values));
  for (std::int64_t i = 0; i < on_cpu.numel(); ++i) ++counts[static_cast<size_t>(value[i])];
  return counts;
}

}  // namespace

Experts::Experts(const ExpertsSpec& spec, const ParameterTable& table)
    : top_k_(spec.top_k),
      normalized_(spec.normalized),
      router_(table[spec.router]),
      shared_gate_(table[spec.shared_gate]),
      experts_(experts_of(spec, table)) {
  if (spec.shared) shared_.emplace(*spec.shared, table);
}

Tensor Experts::operator()(const Tensor& x_TD, RouterBalance* balance) const {
  const Routes routes = route(x_TD, balance);
  const Tensor rows_RD = ops::take_rows(x_TD, routes.by_expert, top_k_);
  const Tensor results_RD = compute(rows_RD, routes.counts_N);
  const Tensor results_TCD =
      ops::take_rows(results_RD, routes.by_expert.inverse()).view({x_TD.size(0), top_k_, -1});
  const Tensor routed_TD = (results_TCD * routes.weights_TC.unsqueeze(2)).sum(1);
  return shared_ ? routed_TD + shared(x_TD) : routed_TD;
}

// The softmax is in float32 or better; over the chosen alone it is that over all, scaled to the sum of 1.
Experts::Routes Experts::route(const Tensor& x_TD, RouterBalance* balance) const {
  const Tensor logits_TN = router_(x_TD);
  Tensor wide_TN = logits_TN.to(at::toOpMathType(logits_TN.scalar_type()));
  const Tensor chosen_TC = std::get<1>(wide_TN.topk(top_k_, 1));
  if (balance != nullptr) wide_TN = (*balance)(wide_TN, chosen_TC);
  const Tensor weights_TC = normalized_ ? at::softmax(wide_TN.gather(1, chosen_TC), 1)
                                        : at::softmax(wide_TN, 1).gather(1, chosen_TC);
  const Tensor chosen_R = chosen_TC.flatten();
  return {weights_TC.to(x_TD.scalar_type()), ops::sort_rows(chosen_R),
          count_each(chosen_R, static_cast<std::int64_t>(experts_.size()))};
}

Tensor Experts::compute(const Tensor& rows_RD, const std::vector<std::int64_t>& counts_N) const {
  const std::vector<Tensor> parts = rows_RD.split_with_sizes(counts_N);
  std::vector<Tensor> results;
  for (size_t i = 0; i < experts_.size(); ++i) {
    if (counts_N[i] > 0) results.push_back(experts_[i](parts[i]));
  }
  return at::cat(results);
}

Tensor Experts::shared(const Tensor& x_TD) const {
  const Tensor result_TD = (*shared_)(x_TD);
  return shared_gate_.weight.defined() ? at::sigmoid(shared_gate_(x_TD)) * result_TD : result_TD;
}

}  // namespace ddro::models
