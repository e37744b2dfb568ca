// What updates the parameters: an optimizer's arithmetic, and the moments that it keeps of each trainable
// parameter.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/train/moment.h"
#include "ddro/train/parameters.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

struct UpdateRule;
struct UpdateRules;
struct UpdateBatch;

// Numbers that OptimizerOptions::optim keeps of a parameter, all its moments together.
std::int64_t num_moment_numbers(const OptimizerOptions& options, models::ParameterRole role,
                                at::IntArrayRef sizes);

// The arithmetic is in the masters' type whatever OptimizerOptions::moment_dtype is; the short forms are
// rounded after it (ddro/ops/moment_code.h), by a function of the number of updates, the parameter and the
// place in it.
class Optimizer {
 public:
  // `parameters` outlive the optimizer.
  Optimizer(Parameters& parameters, const OptimizerOptions& options);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Updates the masters, weight decay of the parameters that decay included; then their compute copies
  // follow. `gradient_scale` multiplies the gradients first (clipping), which are used up. Each of several
  // ranks updates its parts of the parameters, and keeps the moments of those.
  void step(double learning_rate, double gradient_scale);

  StateTensors state() const;  // "exp_avg.NAME", ... (as Moment::tensors), "step"
  // Restores it; moments of another moment_dtype are converted. Error(kModel) with `where` for a missing,
  // surplus or misshapen tensor.
  void load(const NamedTensors& state, const std::string& where);

 private:
  struct Slot {
    const Parameter& parameter;
    const UpdateRule& rule;
    std::vector<Moment> moments;  // in the order of the rule's
  };

  UpdateBatch batch(const UpdateRule& rule, bool decays, double learning_rate) const;  // of no tensor yet
  void update_group(const UpdateRule& rule, bool decays, double learning_rate);
  void update_in_chunks(double learning_rate);
  std::uint64_t rounding_key(size_t slot, size_t moment) const;

  Parameters& parameters_;
  OptimizerOptions options_;
  std::unique_ptr<const UpdateRules> rules_;
  std::vector<Slot> slots_;
  std::int64_t steps_done_ = 0;  // updates made; skipped steps do not count
};

}  // namespace ddro::train
