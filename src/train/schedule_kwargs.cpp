#include "train/schedule_kwargs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "ddro/base/error.h"

namespace ddro::train {
namespace {

constexpr const char* kKey = "optimizer.lr_scheduler_kwargs";

struct Kind {
  bool (*fits)(const Json& value);
  const char* expected;
};

bool is_count(const Json& value) {
  return value.is_number_integer() && value >= 0 && value <= std::numeric_limits<std::int32_t>::max();
}
bool is_number(const Json& value) { return value.is_number() && std::isfinite(value.get<double>()); }

constexpr Kind kCount{is_count, "an integer of at least 0"};
constexpr Kind kCycles{[](const Json& value) { return is_count(value) && value > 0; },
                       "an integer of at least 1"};
constexpr Kind kPositive{[](const Json& value) { return is_number(value) && value > 0; }, "a number above 0"};
constexpr Kind kRate{[](const Json& value) { return is_number(value) && value >= 0; },
                     "a number of at least 0"};
constexpr Kind kShare{[](const Json& value) { return is_number(value) && value >= 0 && value <= 1; },
                      "a number from 0 to 1"};
constexpr Kind kRamp{
    [](const Json& value) { return value == "linear" || value == "cosine" || value == "1-sqrt"; },
    "linear, cosine or 1-sqrt"};

struct Kwarg {
  std::string_view name;
  Kind kind;
};

std::vector<Kwarg> kwargs_of(Schedule schedule) {
  switch (schedule) {
    case Schedule::kCosine:
      return {{"num_cycles", kPositive}};
    case Schedule::kCosineWithRestarts:
      return {{"num_cycles", kCycles}};
    case Schedule::kPolynomial:
      return {{"lr_end", kRate}, {"power", kPositive}};
    case Schedule::kCosineWithMinLr:
      return {{"min_lr", kRate}, {"min_lr_rate", kShare}, {"num_cycles", kPositive}};
    case Schedule::kCosineWarmupWithMinLr:
      return {
          {"min_lr", kRate}, {"min_lr_rate", kShare}, {"num_cycles", kPositive}, {"warmup_lr_rate", kShare}};
    case Schedule::kWarmupStableDecay:
      return {{"num_decay_steps", kCount}, {"num_stable_steps", kCount}, {"warmup_type", kRamp},
              {"decay_type", kRamp},       {"min_lr_ratio", kShare},     {"num_cycles", kPositive}};
    case Schedule::kConstant:
    case Schedule::kConstantWithWarmup:
    case Schedule::kLinear:
    case Schedule::kInverseSqrt:
      return {};
  }
  return {};
}

[[noreturn]] void refuse(const OptimizerOptions& options, const std::string& what) {
  throw input_error(std::string("[") + kKey + "] " + enum_name(options.lr_scheduler_type) + " " + what);
}

std::string joined(const std::vector<Kwarg>& kwargs) {
  std::string names;
  for (const Kwarg& kwarg : kwargs) names += (names.empty() ? "" : ", ") + std::string(kwarg.name);
  return names.empty() ? "none" : names;
}

void check_values(const OptimizerOptions& options) {
  const std::vector<Kwarg> kwargs = kwargs_of(options.lr_scheduler_type);
  for (const auto& [name, value] : options.lr_scheduler_kwargs.items()) {
    const auto kwarg =
        std::find_if(kwargs.begin(), kwargs.end(), [&](const Kwarg& one) { return one.name == name; });
    if (kwarg == kwargs.end()) refuse(options, "has no " + printable(name) + "; expected " + joined(kwargs));
    if (!kwarg->kind.fits(value)) {
      refuse(options, name + " is out of range; got " + printable(value.dump()) + ", expected " +
                          kwarg->kind.expected);
    }
  }
}

void check_lowest_rate(const OptimizerOptions& options) {
  const Json& kwargs = options.lr_scheduler_kwargs;
  if (kwargs.contains("min_lr") == kwargs.contains("min_lr_rate")) {
    refuse(
        options,
        "needs one of min_lr (the lowest rate) and min_lr_rate (its share of optimizer.learning_rate); got " +
            printable(kwargs.dump(), 200));
  }
  if (kwargs.contains("min_lr") && kwargs["min_lr"] > options.learning_rate) {
    refuse(options, "min_lr is above optimizer.learning_rate; got " + kwargs["min_lr"].dump() +
                        ", expected at most " + printable(options.learning_rate));
  }
}

}  // namespace

void validate_schedule_kwargs(const OptimizerOptions& options) {
  check_values(options);
  switch (options.lr_scheduler_type) {
    case Schedule::kCosineWithMinLr:
    case Schedule::kCosineWarmupWithMinLr:
      check_lowest_rate(options);
      break;
    case Schedule::kWarmupStableDecay:
      if (!options.lr_scheduler_kwargs.contains("num_decay_steps"))
        refuse(options, "needs num_decay_steps: the last steps of the run, in which the rate falls");
      break;
    case Schedule::kPolynomial:
      if (const double end = number_kwarg(options, "lr_end", kPolynomialEnd);
          !(end < options.learning_rate)) {
        refuse(options, "ends at lr_end " + printable(end) +
                            ", which is not below optimizer.learning_rate; got " +
                            printable(options.learning_rate));
      }
      break;
    default:
      break;
  }
}

double number_kwarg(const OptimizerOptions& options, const char* name, double otherwise) {
  return options.lr_scheduler_kwargs.value(name, otherwise);
}

std::string text_kwarg(const OptimizerOptions& options, const char* name, const char* otherwise) {
  return options.lr_scheduler_kwargs.value(name, std::string(otherwise));
}

}  // namespace ddro::train
