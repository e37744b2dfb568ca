#include "ddro/losses/objective_options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "ddro/base/error.h"
#include "losses/family.h"

namespace ddro::losses {
namespace {

constexpr std::array kKeys = {"loss_type",        "loss_weights",      "alpha",
                              "generator",        "basu_power",        "stabilizer",
                              "max_weight",       "class_reduction",   "beta",
                              "label_smoothing",  "f_divergence_type", "f_alpha_divergence_coef",
                              "discopop_tau",     "simpo_gamma",       "cpo_alpha",
                              "desirable_weight", "undesirable_weight"};

// A key that means something only with certain values of another one.
struct Condition {
  std::string_view key;
  bool (*holds)(const ObjectiveOptions&);
  const char* otherwise;
};

constexpr std::array kConditions = {
    Condition{"basu_power", [](const ObjectiveOptions& o) { return o.generator == Generator::kBasu; },
              "has this option with generator basu only"},
    Condition{"max_weight", [](const ObjectiveOptions& o) { return o.stabilizer != Stabilizer::kNone; },
              "has no such option with stabilizer none"},
    Condition{"f_alpha_divergence_coef",
              [](const ObjectiveOptions& o) { return o.f_divergence_type == FDivergence::kAlphaDivergence; },
              "has this option with f_divergence_type alpha_divergence only"},
};

bool a_loss_has(const ObjectiveOptions& options, std::string_view key) {
  const std::vector<LossType>& types = options.loss_type.all;
  if (key == "loss_type") return true;
  if (key == "loss_weights") return types.size() > 1;
  return std::any_of(types.begin(), types.end(), [&](LossType type) {
    const auto& has = family_of(type).options;
    return std::find(has.begin(), has.end(), key) != has.end();
  });
}

const Condition* broken_condition(const ObjectiveOptions& options, std::string_view key) {
  const auto found = std::find_if(kConditions.begin(), kConditions.end(),
                                  [key](const Condition& condition) { return condition.key == key; });
  return found == kConditions.end() || found->holds(options) ? nullptr : &*found;
}

void refuse_unused(const ObjectiveOptions& options) {
  for (const std::string& key : options.explicitly_set) {
    if (uses_option(options, key)) continue;
    const Condition* condition = a_loss_has(options, key) ? broken_condition(options, key) : nullptr;
    throw input_error("[objective." + key + "] loss_type " + loss_name(options.loss_type) + " " +
                      (condition != nullptr ? condition->otherwise : "has no such option") +
                      "; remove the key");
  }
}

[[noreturn]] void out_of_range(const std::string& key, double value, const std::string& expected) {
  throw input_error("[objective." + key + "] out of range; got " + printable(value) + ", expected " +
                    expected);
}

void check_loss_types(const ObjectiveOptions& options) {
  std::vector<LossType> types = options.loss_type.all;
  if (types.empty()) throw input_error("[objective.loss_type] got an empty list, expected a loss");
  std::sort(types.begin(), types.end());
  const auto twice = std::adjacent_find(types.begin(), types.end());
  if (twice != types.end()) {
    throw input_error("[objective.loss_type] names " + loss_name(*twice) +
                      " twice; give it its weight in objective.loss_weights");
  }
  const std::vector<double>& weights = options.loss_weights;
  if (!weights.empty() && weights.size() != options.loss_type.all.size()) {
    throw input_error("[objective.loss_weights] one a loss; got " + std::to_string(weights.size()) +
                      ", expected " + std::to_string(options.loss_type.all.size()));
  }
  for (const double weight : weights) {
    if (!(std::isfinite(weight) && weight > 0))
      out_of_range("loss_weights", weight, "finite numbers above 0");
  }
}

void check_label_smoothing(const ObjectiveOptions& options) {
  const double value = options.label_smoothing;
  if (!(value >= 0 && value < 0.5)) out_of_range("label_smoothing", value, "a number from 0 to below 0.5");
  const std::vector<LossType>& types = options.loss_type.all;
  if (value == 0 && std::find(types.begin(), types.end(), LossType::kExoPair) != types.end()) {
    throw input_error("[objective.label_smoothing] exo_pair needs a number above 0; got 0; try 0.001");
  }
}

void check_numbers(const ObjectiveOptions& options) {
  const auto uses = [&](const char* key) { return uses_option(options, key); };
  const auto positive = [&](const char* key, double value) {
    if (uses(key) && !(std::isfinite(value) && value > 0))
      out_of_range(key, value, "a finite number above 0");
  };
  const auto not_negative = [&](const char* key, double value) {
    if (uses(key) && !(std::isfinite(value) && value >= 0))
      out_of_range(key, value, "a finite number of at least 0");
  };
  positive("basu_power", options.basu_power);
  positive("max_weight", options.max_weight.value_or(1));
  positive("beta", options.beta);
  positive("discopop_tau", options.discopop_tau);
  not_negative("simpo_gamma", options.simpo_gamma);
  not_negative("cpo_alpha", options.cpo_alpha.value_or(0));
  not_negative("desirable_weight", options.desirable_weight);
  not_negative("undesirable_weight", options.undesirable_weight);
  if (uses("label_smoothing")) check_label_smoothing(options);
  const double coefficient = options.f_alpha_divergence_coef;
  if (uses("f_alpha_divergence_coef") && !(std::isfinite(coefficient) && coefficient != 1)) {
    out_of_range("f_alpha_divergence_coef", coefficient,
                 "a finite number other than 1, which is f_divergence_type reverse_kl");
  }
  if (uses("alpha") && options.alpha && !(*options.alpha > 0 && *options.alpha < 1)) {
    out_of_range("alpha", *options.alpha, "auto or a number between 0 and 1, both excluded");
  }
}

}  // namespace

bool uses_option(const ObjectiveOptions& options, const std::string& key) {
  DDRO_CHECK(std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end(), "no option of the objective: " + key);
  return a_loss_has(options, key) && broken_condition(options, key) == nullptr;
}

void check_max_weight(const ObjectiveOptions& options, double alpha) {
  const double bound = alpha / (1 - alpha);
  if (!options.max_weight || *options.max_weight > bound) return;
  throw input_error("[objective.max_weight] too small for alpha = " + printable(alpha) + "; got " +
                    printable(*options.max_weight) + ", expected more than alpha/(1 - alpha) = " +
                    printable(bound) + ", the weight of a completion on which policy and reference agree");
}

void ObjectiveOptions::validate() const {
  check_loss_types(*this);
  refuse_unused(*this);
  check_numbers(*this);
  if (uses_option(*this, "stabilizer") && stabilizer == Stabilizer::kNnbd &&
      class_reduction == ClassReduction::kPooled) {
    throw input_error(
        "[objective.class_reduction] stabilizer nnbd compares class means; got pooled, expected "
        "class_mean");
  }
  if (uses_option(*this, "max_weight") && alpha) check_max_weight(*this, *alpha);
}

}  // namespace ddro::losses
