#include "ddro/checkpoint/checkpoint_options.h"

#include <cmath>
#include <string>

#include "ddro/base/error.h"

namespace ddro::checkpoint {

void CheckpointOptions::validate() const {
  if (save_steps < 1) {
    throw option_error("checkpoint.save_steps", std::to_string(save_steps), "an integer of at least 1");
  }
  if (save_total_limit < 1) {
    throw option_error("checkpoint.save_total_limit", std::to_string(save_total_limit),
                       "an integer of at least 1");
  }
  if (!std::isfinite(save_before_timeout_s) || save_before_timeout_s < 0) {
    throw option_error("checkpoint.save_before_timeout_s", printable(save_before_timeout_s),
                       "a number of seconds of at least 0");
  }
}

}  // namespace ddro::checkpoint
