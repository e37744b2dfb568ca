// Models of a few parameters, with their optimizer.
#pragma once

#include <ATen/ATen.h>

#include "ddro/train/finite.h"
#include "ddro/train/optimizer.h"
#include "support/own_tensors.h"

namespace ddro::test {

// Random parameters, of which the model computes nothing.
class BareModel : public models::CausalLm {
 public:
  BareModel(models::ModelSpec spec, const std::vector<models::ParameterSpec>& parameters,
            at::ScalarType dtype)
      : spec_(std::move(spec)) {
    at::manual_seed(3);
    for (const auto& [name, sizes] : parameters) {
      initial_.emplace_back(name, at::randn(sizes, at::kDouble).to(at::kFloat));
      parameters_.emplace_back(name, initial_.back().second.to(dtype, false, true).set_requires_grad(true));
    }
  }
  Tensor hidden(const models::ModelInput&) const override { return {}; }
  const NamedTensors& parameters() const override { return parameters_; }
  Tensor head_weight() const override { return parameters_[0].second; }
  const std::string& head_weight_name() const override { return parameters_[0].first; }
  const models::ModelSpec& spec() const override { return spec_; }
  const NamedTensors& initial() const { return initial_; }  // as a folder has them

 private:
  NamedTensors parameters_;
  NamedTensors initial_;
  models::ModelSpec spec_;
};

// A matrix that decays and a vector that does not.
class TwoParameters : public BareModel {
 public:
  explicit TwoParameters(at::ScalarType dtype = at::kFloat, std::int64_t vector_size = 33)
      : BareModel(spec_of(), {{"model.embed_tokens.weight", {31, 33}}, {"model.norm.weight", {vector_size}}},
                  dtype) {}

 private:
  static models::ModelSpec spec_of() {
    models::ModelSpec spec;
    spec.embedding_name = "model.embed_tokens.weight";
    return spec;
  }
};

struct Trained {
  Trained(const models::CausalLm& model, const NamedTensors& initial, const train::OptimizerOptions& options)
      : parameters(model, initial), optimizer(parameters, options) {}

  train::Parameters parameters;
  train::Optimizer optimizer;
};

// Name of the first that holds a value which is not finite, or empty.
inline std::string first_non_finite(const NamedTensors& stored) {
  for (const auto& [name, tensor] : stored) {
    if (!train::is_finite(name, tensor)) return name;
  }
  return "";
}

}  // namespace ddro::test
