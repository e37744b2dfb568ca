#include "ddro/losses/objective_options.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ddro/base/error.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

constexpr std::array kKeys = {"loss_type",  "alpha",      "generator",       "basu_power",
                              "stabilizer", "max_weight", "class_reduction", "beta"};

void check_positive(const char* key, double value) {
  if (std::isfinite(value) && value > 0) return;
  throw input_error(std::string("[objective.") + key + "] out of range; got " + number_text(value) +
                    ", expected a finite number above 0");
}

}  // namespace

bool uses_option(const ObjectiveOptions& options, const std::string& key) {
  DDRO_CHECK(std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end(), "no option of the objective: " + key);
  return key == "loss_type" || family_of(options.loss_type).has_option(options, key);
}

void check_max_weight(const ObjectiveOptions& options, double alpha) {
  const double bound = alpha / (1 - alpha);
  if (options.max_weight > bound) return;
  throw input_error("[objective.max_weight] too small for alpha = " + number_text(alpha) + "; got " +
                    number_text(options.max_weight) + ", expected more than alpha/(1 - alpha) = " +
                    number_text(bound) + ", the weight of a row on which policy and reference agree");
}

void ObjectiveOptions::validate() const {
  for (const std::string& key : explicitly_set) {
    if (uses_option(*this, key)) continue;
    const bool basu = key == "basu_power" && uses_option(*this, "generator");
    const bool weight = key == "max_weight" && uses_option(*this, "stabilizer");
    throw input_error("[objective." + key + "] loss_type " + loss_name(loss_type) +
                      (basu     ? " has this option with generator basu only"
                       : weight ? " has no such option with stabilizer none"
                                : " has no such option") +
                      "; remove the key");
  }
  const auto uses = [this](const char* key) { return uses_option(*this, key); };
  if (uses("alpha") && alpha && !(*alpha > 0 && *alpha < 1)) {
    throw input_error("[objective.alpha] out of range; got " + number_text(*alpha) +
                      ", expected auto or a number between 0 and 1, both excluded");
  }
  if (uses("basu_power")) check_positive("basu_power", basu_power);
  if (uses("max_weight")) check_positive("max_weight", max_weight);
  if (uses("beta")) check_positive("beta", beta);
  if (uses("stabilizer") && stabilizer == Stabilizer::kNnbd && class_reduction == ClassReduction::kPooled) {
    throw input_error(
        "[objective.class_reduction] stabilizer nnbd compares class means; got pooled, expected "
        "class_mean");
  }
  if (uses("max_weight") && alpha) check_max_weight(*this, *alpha);
}

}  // namespace ddro::losses
