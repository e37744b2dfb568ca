// AdamW over a model's parameters, with float32 master weights where the model computes in a shorter type.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/moment.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

// Owns masters, gradients and moments. The masters' type is float64 for a float64 model, float32 otherwise;
// where it is the model's own type, master and parameter are one tensor. The arithmetic is in the masters'
// type whatever OptimizerOptions::moment_dtype is; the short forms are rounded after it
// (ddro/ops/moment_code.h), by a function of the number of updates, the parameter and the place in it.
class AdamW {
 public:
  // `initial`: weights at the precision of the model folder, from which the masters start.
  AdamW(const models::CausalLm& model, const NamedTensors& initial, const OptimizerOptions& options);

  // Gradients of a step add up in the masters' type over any number of backward passes: each parameter's
  // grad() is its accumulator.
  void zero_gradients();
  Tensor gradient(const std::string& name) const;  // accumulator of one parameter, to add to directly
  double gradient_norm() const;                    // 2-norm over all parameters
  // Decoupled weight decay (none for norms and biases), bias-corrected moments. `gradient_scale` multiplies
  // the gradients first (clipping).
  void step(double learning_rate, double gradient_scale);

  NamedTensors master_weights() const;  // named as in the model folder
  NamedTensors state() const;           // "exp_avg.NAME", "exp_avg_sq.NAME" (as Moment::tensors), "step"
  // Restores both; moments of another moment_dtype are converted. Error(kModel) with `where` for a missing,
  // surplus or misshapen tensor.
  void load(const NamedTensors& weights, const NamedTensors& state, const std::string& where);

  // The first tensor (weight or moment) that holds a value which is not finite, or empty.
  std::string first_non_finite() const;
  std::int64_t num_parameters() const;

 private:
  struct Slot {
    std::string name;
    Tensor parameter;  // what the model computes with
    Tensor master;
    Tensor gradient;
    Moment exp_avg;
    Moment exp_avg_sq;
    bool decays = false;
    bool mixed() const { return !parameter.is_same(master); }
  };

  std::vector<Tensor> gradients() const;
  void update_group(bool decays, double learning_rate);
  void update_in_chunks(double learning_rate);
  // One list each of weights and what belongs to them, all in the masters' type.
  void update(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
              const std::vector<Tensor>& exp_avgs, const std::vector<Tensor>& exp_avg_sqs, bool decays,
              double learning_rate) const;
  void update_parameters();
  const Slot& slot(const std::string& name) const;

  OptimizerOptions options_;
  std::vector<Slot> slots_;
  std::unordered_map<std::string, size_t> index_;
  std::int64_t steps_done_ = 0;  // updates made; skipped steps do not count
};

}  // namespace ddro::train
