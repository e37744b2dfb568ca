#include "ddro/train/spike_guard.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"

namespace ddro::train {
namespace {

constexpr size_t kWindow = 100;
constexpr size_t kFewest = 30;
constexpr double kDeviations = 10;
constexpr double kNormalDeviation = 1.4826;  // standard deviation over median absolute deviation
constexpr double kLeastRise = 3;             // medians; where nearly all values are one

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string far_above(const char* what, double value, const std::vector<double>& before) {
  if (before.size() < kFewest) return "";
  const double usual = median(before);
  std::vector<double> deviations;
  for (const double each : before) deviations.push_back(std::fabs(each - usual));
  const double rise = kDeviations * kNormalDeviation * median(std::move(deviations));
  if (value <= usual + std::max(rise, kLeastRise * std::fabs(usual))) return "";
  return std::string(what) + " " + printable(value, "%.4g") + ", usually " + printable(usual, "%.4g");
}

void append(std::vector<double>& values, double value) {
  if (values.size() == kWindow) values.erase(values.begin());
  values.push_back(value);
}

}  // namespace

std::string SpikeGuard::spike(double loss, double gradient_norm) const {
  const std::string norm = far_above("gradient norm", gradient_norm, norms_);
  return norm.empty() ? far_above("loss", loss, losses_) : norm;
}

void SpikeGuard::record(double loss, double gradient_norm, bool skipped) {
  append(losses_, loss);
  append(norms_, gradient_norm);
  num_skipped_ += skipped;
}

Json SpikeGuard::state() const {
  return {{"losses", losses_}, {"norms", norms_}, {"num_skipped", num_skipped_}};
}

void SpikeGuard::load(const Json& state) {
  losses_ = state.at("losses").get<std::vector<double>>();
  norms_ = state.at("norms").get<std::vector<double>>();
  num_skipped_ = state.at("num_skipped").get<std::int64_t>();
}

}  // namespace ddro::train
