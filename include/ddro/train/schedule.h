// Learning-rate schedules, defined as Hugging Face's `get_scheduler` does: the learning rate of a step is the
// base rate times a factor of the number of steps done before it, so with a warm-up the first step's rate is
// 0.
#pragma once

#include <cstdint>

#include "ddro/train/train_options.h"

namespace ddro::train {

// Steps of a run: max_steps, or those of num_train_epochs, a begun step counted whole.
std::int64_t num_total_steps(const TrainOptions& options, std::int64_t steps_per_epoch);

// warmup_steps when set, else ceil(warmup_ratio * total_steps); 0 for `constant`.
std::int64_t num_warmup_steps(const OptimizerOptions& options, std::int64_t total_steps);

// Error(kInput) for parts of a schedule that are longer than the run.
void check_schedule(const OptimizerOptions& options, std::int64_t total_steps);

// Learning rate of the step before which `steps_done` of `total_steps` were done.
double learning_rate(const OptimizerOptions& options, std::int64_t steps_done, std::int64_t total_steps);

}  // namespace ddro::train
