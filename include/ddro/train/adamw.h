// AdamW: the arithmetic of an update, and the moments that it keeps of each trainable parameter.
#pragma once

#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/train/moment.h"
#include "ddro/train/parameters.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

// The arithmetic is in the masters' type whatever OptimizerOptions::moment_dtype is; the short forms are
// rounded after it (ddro/ops/moment_code.h), by a function of the number of updates, the parameter and the
// place in it.
class AdamW {
 public:
  // `parameters` outlive the optimizer.
  AdamW(Parameters& parameters, const OptimizerOptions& options);

  // Decoupled weight decay of the parameters that decay, bias-corrected moments; then the parameters' compute
  // copies follow. `gradient_scale` multiplies the gradients first (clipping). Each of several ranks updates
  // its parts of the parameters, and keeps the moments of those.
  void step(double learning_rate, double gradient_scale);

  StateTensors state() const;  // "exp_avg.NAME", "exp_avg_sq.NAME" (as Moment::tensors), "step"
  // Restores it; moments of another moment_dtype are converted. Error(kModel) with `where` for a missing,
  // surplus or misshapen tensor.
  void load(const NamedTensors& state, const std::string& where);

 private:
  struct Slot {
    const Parameter& parameter;
    Moment exp_avg;
    Moment exp_avg_sq;
  };

  void update_group(bool decays, double learning_rate);
  void update_in_chunks(double learning_rate);
  // One list each of weights and what belongs to them, all in the masters' type.
  void update(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
              const std::vector<Tensor>& exp_avgs, const std::vector<Tensor>& exp_avg_sqs, bool decays,
              double learning_rate) const;

  Parameters& parameters_;
  OptimizerOptions options_;
  std::vector<Slot> slots_;
  std::int64_t steps_done_ = 0;  // updates made; skipped steps do not count
};

}  // namespace ddro::train
