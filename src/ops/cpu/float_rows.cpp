#include "ops/cpu/float_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/cpu/vector_clones.h"

namespace ddro::ops::cpu {
namespace {

#define DDRO_INLINE [[gnu::always_inline]] inline

constexpr std::int64_t kLanes = 16;

// Numbers whose sum is taken in float32. In a longer one what is small beside the sum so far would be rounded
// away: of the exponentials of 150,000 logits, most of which are.
constexpr std::int64_t kSummed = 1024;

// The sum of term(begin), ..., term(end - 1).
template <typename Term>
DDRO_INLINE float short_sum_of(std::int64_t begin, std::int64_t end, const Term& term) {
  float parts[kLanes] = {};
  const std::int64_t whole = end - (end - begin) % kLanes;
  for (std::int64_t i = begin; i < whole; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) parts[lane] += term(i + lane);
  }
  for (std::int64_t i = whole; i < end; ++i) parts[i - whole] += term(i);
  float sum = 0;
  for (const float part : parts) sum += part;
  return sum;
}

// The sum of term(0), ..., term(size - 1).
template <typename Term>
DDRO_INLINE float sum_of(std::int64_t size, const Term& term) {
  double sum = 0;
  for (std::int64_t begin = 0; begin < size; begin += kSummed)
    sum += short_sum_of(begin, begin + kSummed < size ? begin + kSummed : size, term);
  return static_cast<float>(sum);
}

// e^x to some 1e-7 of it, 0 where it would be below the smallest normal number, 2e38 from 88 on: 2^n times
// the Taylor series of the rest, which is half of ln 2 at most.
DDRO_INLINE float exponential(float x) {
  constexpr float kRound = 0x1.8p23f;  // what is added to it has its fraction rounded away
  constexpr float kLn2Upper = 0x1.62ep-1f, kLn2Lower = 0x1.0bfbe8p-15f;
  constexpr float kMin = -87.0f, kMax = 88.0f;
  const float y = x > kMax ? kMax : x;  // NaN stays
  const float shifted = y * 0x1.715476p0f + kRound;
  const float n = shifted - kRound;
  const float r = (y - n * kLn2Upper) - n * kLn2Lower;
  float series = 1.0f / 5040;
  series = series * r + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  const auto power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23) + 0x3F800000u);
  return x < kMin ? 0.0f : series * power;
}

DDRO_INLINE float sigmoid(float x) { return 1 / (1 + exponential(-x)); }

}  // namespace

DDRO_VECTOR_CLONES void add_row(const float* a_N, const float* b_N, std::int64_t size, float* sum_N) {
  for (std::int64_t i = 0; i < size; ++i) sum_N[i] = a_N[i] + b_N[i];
}

DDRO_VECTOR_CLONES float rms_norm_row(const float* x_N, const float* weight_N, float eps, std::int64_t size,
                                      float* y_N) {
  const float squares = sum_of(size, [&](std::int64_t i) { return x_N[i] * x_N[i]; });
  const float scale = 1 / std::sqrt(squares / static_cast<float>(size) + eps);
  for (std::int64_t i = 0; i < size; ++i) y_N[i] = x_N[i] * scale * weight_N[i];
  return scale;
}

DDRO_VECTOR_CLONES void rms_norm_backward_row(const float* d_y_N, const float* x_N, const float* weight_N,
                                              float scale, const float* d_sum_N, std::int64_t size,
                                              float* d_x_N, float* d_weight_N) {
  const float dot = sum_of(size, [&](std::int64_t i) { return d_y_N[i] * weight_N[i] * x_N[i]; });
  const float mean = dot * scale * scale / static_cast<float>(size);
  if (d_weight_N != nullptr) {
    for (std::int64_t i = 0; i < size; ++i) d_weight_N[i] += d_y_N[i] * (x_N[i] * scale);
  }
  if (d_sum_N == nullptr) {
    for (std::int64_t i = 0; i < size; ++i) d_x_N[i] = scale * (d_y_N[i] * weight_N[i] - x_N[i] * mean);
  } else {
    for (std::int64_t i = 0; i < size; ++i)
      d_x_N[i] = scale * (d_y_N[i] * weight_N[i] - x_N[i] * mean) + d_sum_N[i];
  }
}

DDRO_VECTOR_CLONES void rotate_row(const float* x_N, const float* cos_N, const float* sin_N,
                                   std::int64_t half, float* y_N) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = x_N[i], second = x_N[half + i];
    y_N[i] = first * cos_N[i] - second * sin_N[i];
    y_N[half + i] = second * cos_N[i] + first * sin_N[i];
  }
}

DDRO_VECTOR_CLONES void rotate_back_row(const float* x_N, const float* cos_N, const float* sin_N,
                                        std::int64_t half, float* y_N) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = x_N[i], second = x_N[half + i];
    y_N[i] = first * cos_N[i] + second * sin_N[i];
    y_N[half + i] = second * cos_N[i] - first * sin_N[i];
  }
}

DDRO_VECTOR_CLONES void swiglu_row(const float* gate_N, const float* up_N, std::int64_t size,
                                   float* product_N) {
  for (std::int64_t i = 0; i < size; ++i) product_N[i] = gate_N[i] * sigmoid(gate_N[i]) * up_N[i];
}

// With s = sigmoid(gate): d silu(gate) / d gate = s (1 + gate (1 - s)).
DDRO_VECTOR_CLONES void swiglu_backward_row(const float* d_product_N, const float* gate_N, const float* up_N,
                                            std::int64_t size, float* __restrict product_N,
                                            float* __restrict d_gate_N, float* __restrict d_up_N) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float gate = gate_N[i], up = up_N[i], d_product = d_product_N[i];
    const float s = sigmoid(gate);
    const float silu = gate * s;
    product_N[i] = silu * up;
    d_up_N[i] = d_product * silu;
    d_gate_N[i] = d_product * up * (s * (1 + gate * (1 - s)));
  }
}

DDRO_VECTOR_CLONES float largest_of_row(const float* x_N, std::int64_t size) {
  float parts[kLanes];
  std::fill_n(parts, kLanes, x_N[0]);
  const std::int64_t whole = size - size % kLanes;
  for (std::int64_t i = 0; i < whole; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane)
      parts[lane] = parts[lane] < x_N[i + lane] ? x_N[i + lane] : parts[lane];
  }
  for (std::int64_t i = whole; i < size; ++i) parts[0] = std::max(parts[0], x_N[i]);
  return *std::max_element(parts, parts + kLanes);
}

DDRO_VECTOR_CLONES float exp_row(const float* x_N, float shift, std::int64_t size, float* e_N) {
  return sum_of(size, [&](std::int64_t i) { return e_N[i] = exponential(x_N[i] - shift); });
}

DDRO_VECTOR_CLONES void scale_row(float* x_N, float factor, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) x_N[i] *= factor;
}

DDRO_VECTOR_CLONES void scaled_row(const float* x_N, float factor, std::int64_t size, float* y_N) {
  for (std::int64_t i = 0; i < size; ++i) y_N[i] = x_N[i] * factor;
}

DDRO_VECTOR_CLONES float dot_row(const float* a_N, const float* b_N, std::int64_t size) {
  return sum_of(size, [&](std::int64_t i) { return a_N[i] * b_N[i]; });
}

DDRO_VECTOR_CLONES void softmax_backward_row(const float* p_N, float mean, std::int64_t size, float* d_p_N) {
  for (std::int64_t i = 0; i < size; ++i) d_p_N[i] = p_N[i] * (d_p_N[i] - mean);
}

}  // namespace ddro::ops::cpu
