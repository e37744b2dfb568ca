// What is trained: a model's parameters with what belongs to each, apart from how it is updated.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/models/causal_lm.h"

namespace ddro::train {

struct Parameter {
  std::string name;  // as in the model folder
  Tensor compute;    // what the model computes with
  Tensor master;  // what is updated: `compute` itself in float32 and float64, else a float32 tensor beside it
  Tensor gradient;        // in the master's type; backward passes add to it, as it is compute.grad()
  bool trainable = true;  // false: neither master nor gradient
  bool decays = false;    // matrices, as in Hugging Face's Trainer: norms and biases do not

  bool is_mixed() const { return trainable && !master.is_same(compute); }
};

// Owns masters and gradients. The model outlives it.
class Parameters {
 public:
  // In the order of model.parameters(); those that do not require grad are frozen. `initial`: weights at the
  // precision of the model folder, from which the masters start.
  Parameters(const models::CausalLm& model, const NamedTensors& initial);
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  const std::vector<Parameter>& entries() const { return entries_; }
  std::int64_t size() const;  // numbers that are trained

  // Gradients of a step add up over any number of backward passes.
  void zero_gradients();
  void scale_gradients(double factor);
  double gradient_norm() const;                           // 2-norm over all parameters
  const Tensor& gradient(const std::string& name) const;  // accumulator of one parameter, to add to directly

  // Rounds the masters into what the model computes with.
  void masters_changed();

  NamedTensors masters() const;  // of the trainable entries: what a checkpoint holds and an export writes
  // Error(kModel) with `where` for a missing, surplus or misshapen tensor.
  void load_masters(const NamedTensors& masters, const std::string& where);

 private:
  std::vector<Tensor> gradients() const;

  std::vector<Parameter> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace ddro::train
