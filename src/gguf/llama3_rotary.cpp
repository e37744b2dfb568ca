#include "ddro/gguf/llama3_rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ddro::gguf {
namespace {

// Of every published Llama 3.1 to 3.3; they differ in the factor alone, a whole number.
constexpr double kLowFactor = 1, kHighFactor = 4, kOriginalPositions = 8192;
constexpr double kTolerance = 1e-4;

double divisor(double wave_length, double factor) {
  if (wave_length < kOriginalPositions / kHighFactor) return 1;
  if (wave_length > kOriginalPositions / kLowFactor) return factor;
  const double smooth = (kOriginalPositions / wave_length - kLowFactor) / (kHighFactor - kLowFactor);
  return 1 / ((1 - smooth) / factor + smooth);
}

bool fits(const std::vector<float>& divisors, double theta, double factor) {
  const std::vector<float> expected = llama3_divisors(theta, divisors.size(), factor);
  for (size_t i = 0; i < divisors.size(); ++i) {
    const double ratio = static_cast<double>(divisors[i]) / static_cast<double>(expected[i]);
    if (!(std::fabs(ratio - 1) < kTolerance)) return false;
  }
  return true;
}

}  // namespace

std::vector<float> llama3_divisors(double theta, size_t num_frequencies, double factor) {
  std::vector<float> divisors;
  for (size_t i = 0; i < num_frequencies; ++i) {
    const double exponent = static_cast<double>(i) / static_cast<double>(num_frequencies);
    const double wave_length = 2 * std::numbers::pi * std::pow(theta, exponent);
    divisors.push_back(static_cast<float>(divisor(wave_length, factor)));
  }
  return divisors;
}

void add_llama3_rotary(const GgufFile& file, Json& config) {
  const GgufTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (!tensor) return;
  std::vector<float> divisors(tensor->type == BlockType::kF32 ? tensor->bytes.size() / sizeof(float) : 0);
  if (!divisors.empty()) unpack_blocks(tensor->type, tensor->bytes, divisors);
  const double factor =
      divisors.empty() ? 0 : std::round(*std::max_element(divisors.begin(), divisors.end()));
  if (config.contains("rope_scaling") || !fits(divisors, config["rope_theta"].get<double>(), factor) ||
      !(factor >= 1)) {
    throw model_error(
        "[" + file.where() +
        "] tensor rope_freqs.weight scales the rotary embedding in a way that is not supported; "
        "expected Llama 3's");
  }
  if (factor == 1) return;
  config["rope_scaling"] = {
      {"rope_type", "llama3"},
      {"factor", factor},
      {"low_freq_factor", kLowFactor},
      {"high_freq_factor", kHighFactor},
      {"original_max_position_embeddings", static_cast<std::int64_t>(kOriginalPositions)}};
}

}  // namespace ddro::gguf
