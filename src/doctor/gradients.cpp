// One step of a tiny random model, and each of its gradients beside the same step in float64 on the CPU.
#include "doctor/gradients.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <numeric>

#include "ddro/base/error.h"
#include "ddro/losses/objective.h"
#include "ddro/models/model_config.h"
#include "ddro/train/step.h"
#include "doctor/checks.h"
#include "doctor/random_model.h"

namespace ddro::doctor {
namespace {

// Heads of 64, as many models have them: on a GPU these are what flash attention takes.
models::ModelSpec tiny_spec() {
  return models::parse_model_config({{"model_type", "llama"},
                                     {"vocab_size", 515},
                                     {"hidden_size", 128},
                                     {"intermediate_size", 200},
                                     {"num_hidden_layers", 2},
                                     {"num_attention_heads", 2},
                                     {"num_key_value_heads", 1},
                                     {"max_position_embeddings", 64}},
                                    "doctor");
}

NamedTensors step_gradients(const models::ModelSpec& spec, const NamedTensors& weights, at::Device device,
                            at::ScalarType dtype) {
  const data::Dataset pairs = random_pairs(4, {.prompt_tokens = 9, .completion_tokens = 12}, spec.vocab_size);
  const auto model = models::make_causal_lm(spec, weights, {.device = device, .dtype = dtype});
  train::Parameters parameters(*model, weights);
  std::vector<std::int64_t> all(pairs.examples.size());
  std::iota(all.begin(), all.end(), 0);
  const data::StepPlan plan = data::plan_step(pairs, all, {.micro_batch_tokens = 64});
  const auto objective = losses::make_objective({}, /*data_alpha=*/0.5);
  // About what a uniform model gives the twelve tokens: log-ratios near 0, where the loss is not flat.
  const double ref_logp = -12 * std::log(static_cast<double>(spec.vocab_size));
  const train::LogProbTable reference(pairs, std::vector<double>(2 * all.size(), ref_logp));
  train::compute_step(*model, &reference, plan, plan.counts, *objective, parameters);
  NamedTensors gradients;
  for (const train::Parameter& entry : parameters.entries())
    gradients.emplace_back(entry.name, entry.gradient);
  return gradients;
}

Finding check(at::Device device, at::ScalarType dtype) {
  const std::string name = "gradients " + device_name(device) + " " + dtype_label(dtype);
  const models::ModelSpec spec = tiny_spec();
  const NamedTensors weights = random_weights(spec, at::TensorOptions(dtype), /*deviation=*/0.1);
  const NamedTensors exact = step_gradients(spec, weights, at::kCPU, at::kDouble);
  try {
    return compare_gradients(name, step_gradients(spec, weights, device, dtype), exact,
                             dtype == at::kBFloat16 ? 0.1 : 1e-4);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return {name, Status::kFailed, printable(text.substr(0, text.find('\n')), 400)};
  }
}

}  // namespace

Finding compare_gradients(const std::string& name, const NamedTensors& got, const NamedTensors& exact,
                          double tolerance) {
  double largest = 0;
  std::string worst = exact.front().first;
  for (size_t i = 0; i < exact.size() && !std::isnan(largest); ++i) {
    const Tensor& expected = exact[i].second;
    const Tensor error = got[i].second.to(at::kCPU, at::kDouble) - expected;
    const double share = (error.norm() / expected.norm()).item<double>();
    if (share <= largest) continue;
    largest = share;
    worst = exact[i].first;
  }
  Finding finding = {name, Status::kOk,
                     std::to_string(exact.size()) + " tensors differ from float64 by at most " +
                         printable(largest, "%.1e") + " of their norm (" + worst + ")",
                     largest};
  if (!(largest <= tolerance)) {
    finding.status = Status::kFailed;
    finding.text += ", " + printable(tolerance, "%.1e") + " is allowed";
    finding.hint = "do not train here";
  }
  return finding;
}

Findings check_gradients(const Machine&) {
  Findings findings;
  for (const at::Device device : devices()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) findings.push_back(check(device, dtype));
  }
  return findings;
}

}  // namespace ddro::doctor
