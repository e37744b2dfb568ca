// optimizer.lr_scheduler_kwargs: what a schedule takes beside its warm-up. Names, meanings and defaults are
// those of transformers' get_scheduler.
#pragma once

#include <string>

#include "ddro/train/train_options.h"

namespace ddro::train {

// Error(kInput) for one that the schedule does not have, a value out of range, and one that it needs and is
// not given.
void validate_schedule_kwargs(const OptimizerOptions& options);

double number_kwarg(const OptimizerOptions& options, const char* name, double otherwise);
std::string text_kwarg(const OptimizerOptions& options, const char* name, const char* otherwise);

}  // namespace ddro::train
