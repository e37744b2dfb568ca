#include "ops/cpu/float_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/cpu/vector_clones.h"

namespace ddro::ops::cpu {
namespace {

#define DDRO_INLINE [[gnu::always_inline]] inline

constexpr std::int64_t kLanes = 16;

DDRO_INLINE float wide(float x) { return x; }
DDRO_INLINE float wide(BFloat16 x) { return std::bit_cast<float>(std::uint32_t{x.x} << 16); }

DDRO_INLINE void store(float value, float& place) { place = value; }
// To the nearest, and of two such to the even one; NaN stays. Without a branch, which would end vector code.
DDRO_INLINE void store(float value, BFloat16& place) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t nan = 0u - static_cast<std::uint32_t>((bits & 0x7FFFFFFF) > 0x7F800000);
  const std::uint32_t rounding = 0x7FFF + ((bits >> 16) & 1);
  place.x = static_cast<std::uint16_t>(((bits + (rounding & ~nan)) >> 16) | (nan & 0x40));
}

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

// What the functions below do for numbers that are stored as T.

template <typename T>
DDRO_INLINE void add(const T* a_N, const T* b_N, std::int64_t size, T* sum_N) {
  for (std::int64_t i = 0; i < size; ++i) store(wide(a_N[i]) + wide(b_N[i]), sum_N[i]);
}

template <typename T>
DDRO_INLINE float rms_norm(const T* x_N, const T* weight_N, float eps, std::int64_t size, T* y_N) {
  const float squares = sum_of(size, [&](std::int64_t i) { return wide(x_N[i]) * wide(x_N[i]); });
  const float scale = 1 / std::sqrt(squares / static_cast<float>(size) + eps);
  for (std::int64_t i = 0; i < size; ++i) store(wide(x_N[i]) * scale * wide(weight_N[i]), y_N[i]);
  return scale;
}

template <typename T>
DDRO_INLINE void rms_norm_backward(const T* d_y_N, const T* x_N, const T* weight_N, float scale,
                                   const T* d_sum_N, std::int64_t size, T* d_x_N, float* d_weight_N) {
  const float dot =
      sum_of(size, [&](std::int64_t i) { return wide(d_y_N[i]) * wide(weight_N[i]) * wide(x_N[i]); });
  const float mean = dot * scale * scale / static_cast<float>(size);
  if (d_weight_N != nullptr) {
    for (std::int64_t i = 0; i < size; ++i) d_weight_N[i] += wide(d_y_N[i]) * (wide(x_N[i]) * scale);
  }
  const auto d_x = [&](std::int64_t i) {
    return scale * (wide(d_y_N[i]) * wide(weight_N[i]) - wide(x_N[i]) * mean);
  };
  if (d_sum_N == nullptr) {
    for (std::int64_t i = 0; i < size; ++i) store(d_x(i), d_x_N[i]);
  } else {
    for (std::int64_t i = 0; i < size; ++i) store(d_x(i) + wide(d_sum_N[i]), d_x_N[i]);
  }
}

template <typename T>
DDRO_INLINE void rotate(const T* x_N, const T* cos_N, const T* sin_N, std::int64_t half, float sign, T* y_N) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = wide(x_N[i]), second = wide(x_N[half + i]);
    const float cosine = wide(cos_N[i]), sine = sign * wide(sin_N[i]);
    store(first * cosine - second * sine, y_N[i]);
    store(second * cosine + first * sine, y_N[half + i]);
  }
}

template <typename T>
DDRO_INLINE void swiglu(const T* gate_N, const T* up_N, std::int64_t size, T* product_N) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float gate = wide(gate_N[i]);
    store(gate * sigmoid(gate) * wide(up_N[i]), product_N[i]);
  }
}

// With s = sigmoid(gate): d silu(gate) / d gate = s (1 + gate (1 - s)).
template <typename T>
DDRO_INLINE void swiglu_backward(const T* d_product_N, const T* gate_N, const T* up_N, std::int64_t size,
                                 T* __restrict product_N, T* __restrict d_gate_N, T* __restrict d_up_N) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float gate = wide(gate_N[i]), up = wide(up_N[i]), d_product = wide(d_product_N[i]);
    const float s = sigmoid(gate);
    const float silu = gate * s;
    store(silu * up, product_N[i]);
    store(d_product * silu, d_up_N[i]);
    store(d_product * up * (s * (1 + gate * (1 - s))), d_gate_N[i]);
  }
}

template <typename T>
DDRO_INLINE void scaled(const float* x_N, float factor, std::int64_t size, T* y_N) {
  for (std::int64_t i = 0; i < size; ++i) store(x_N[i] * factor, y_N[i]);
}

}  // namespace

DDRO_VECTOR_CLONES void add_row(const float* a_N, const float* b_N, std::int64_t size, float* sum_N) {
  add(a_N, b_N, size, sum_N);
}
DDRO_VECTOR_CLONES void add_row(const BFloat16* a_N, const BFloat16* b_N, std::int64_t size,
                                BFloat16* sum_N) {
  add(a_N, b_N, size, sum_N);
}

DDRO_VECTOR_CLONES float rms_norm_row(const float* x_N, const float* weight_N, float eps, std::int64_t size,
                                      float* y_N) {
  return rms_norm(x_N, weight_N, eps, size, y_N);
}
DDRO_VECTOR_CLONES float rms_norm_row(const BFloat16* x_N, const BFloat16* weight_N, float eps,
                                      std::int64_t size, BFloat16* y_N) {
  return rms_norm(x_N, weight_N, eps, size, y_N);
}

DDRO_VECTOR_CLONES void rms_norm_backward_row(const float* d_y_N, const float* x_N, const float* weight_N,
                                              float scale, const float* d_sum_N, std::int64_t size,
                                              float* d_x_N, float* d_weight_N) {
  rms_norm_backward(d_y_N, x_N, weight_N, scale, d_sum_N, size, d_x_N, d_weight_N);
}
DDRO_VECTOR_CLONES void rms_norm_backward_row(const BFloat16* d_y_N, const BFloat16* x_N,
                                              const BFloat16* weight_N, float scale, const BFloat16* d_sum_N,
                                              std::int64_t size, BFloat16* d_x_N, float* d_weight_N) {
  rms_norm_backward(d_y_N, x_N, weight_N, scale, d_sum_N, size, d_x_N, d_weight_N);
}

DDRO_VECTOR_CLONES void rotate_row(const float* x_N, const float* cos_N, const float* sin_N,
                                   std::int64_t half, float* y_N) {
  rotate(x_N, cos_N, sin_N, half, 1, y_N);
}
DDRO_VECTOR_CLONES void rotate_row(const BFloat16* x_N, const BFloat16* cos_N, const BFloat16* sin_N,
                                   std::int64_t half, BFloat16* y_N) {
  rotate(x_N, cos_N, sin_N, half, 1, y_N);
}
DDRO_VECTOR_CLONES void rotate_back_row(const float* x_N, const float* cos_N, const float* sin_N,
                                        std::int64_t half, float* y_N) {
  rotate(x_N, cos_N, sin_N, half, -1, y_N);
}
DDRO_VECTOR_CLONES void rotate_back_row(const BFloat16* x_N, const BFloat16* cos_N, const BFloat16* sin_N,
                                        std::int64_t half, BFloat16* y_N) {
  rotate(x_N, cos_N, sin_N, half, -1, y_N);
}

DDRO_VECTOR_CLONES void swiglu_row(const float* gate_N, const float* up_N, std::int64_t size,
                                   float* product_N) {
  swiglu(gate_N, up_N, size, product_N);
}
DDRO_VECTOR_CLONES void swiglu_row(const BFloat16* gate_N, const BFloat16* up_N, std::int64_t size,
                                   BFloat16* product_N) {
  swiglu(gate_N, up_N, size, product_N);
}
DDRO_VECTOR_CLONES void swiglu_backward_row(const float* d_product_N, const float* gate_N, const float* up_N,
                                            std::int64_t size, float* product_N, float* d_gate_N,
                                            float* d_up_N) {
  swiglu_backward(d_product_N, gate_N, up_N, size, product_N, d_gate_N, d_up_N);
}
DDRO_VECTOR_CLONES void swiglu_backward_row(const BFloat16* d_product_N, const BFloat16* gate_N,
                                            const BFloat16* up_N, std::int64_t size, BFloat16* product_N,
                                            BFloat16* d_gate_N, BFloat16* d_up_N) {
  swiglu_backward(d_product_N, gate_N, up_N, size, product_N, d_gate_N, d_up_N);
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
  scaled(x_N, factor, size, y_N);
}
DDRO_VECTOR_CLONES void scaled_row(const float* x_N, float factor, std::int64_t size, BFloat16* y_N) {
  scaled(x_N, factor, size, y_N);
}

DDRO_VECTOR_CLONES float dot_row(const float* a_N, const float* b_N, std::int64_t size) {
  return sum_of(size, [&](std::int64_t i) { return a_N[i] * b_N[i]; });
}

DDRO_VECTOR_CLONES void softmax_backward_row(const float* p_N, float mean, std::int64_t size, float* d_p_N) {
  for (std::int64_t i = 0; i < size; ++i) d_p_N[i] = p_N[i] * (d_p_N[i] - mean);
}

}  // namespace ddro::ops::cpu
