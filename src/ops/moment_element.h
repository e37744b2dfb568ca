// The short forms of AdamW's moments (ddro/ops/moment_code.h), one number at a time, the same on CPU and GPU.
// Constant expressions without branches, so that both compilers make vector code of them; C++17, no LibTorch.
#pragma once

#include <cstdint>

namespace ddro::ops {

constexpr std::uint32_t bits_of(float value) { return __builtin_bit_cast(std::uint32_t, value); }
constexpr float float_of(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

// `condition ? yes : no` that no compiler turns into a jump, which would keep loops from becoming vector
// code.
constexpr std::uint32_t select(bool condition, std::uint32_t yes, std::uint32_t no) {
  const std::uint32_t mask = 0u - static_cast<std::uint32_t>(condition);
  return (yes & mask) | (no & ~mask);
}

// The seed of a block of numbers (SplitMix64's finalizer).
constexpr std::uint32_t block_seed(std::uint64_t key, std::uint64_t block) {
  std::uint64_t z = key + block * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return static_cast<std::uint32_t>(z >> 32);
}

// 32 bits of a number's own, from its block's seed (MurmurHash3's finalizer).
constexpr std::uint32_t rounding_bits(std::uint32_t seed, std::uint32_t place) {
  std::uint32_t z = seed + place * 0x9E3779B9u;
  z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
  z = (z ^ (z >> 13)) * 0xC2B2AE35u;
  return z ^ (z >> 16);
}

// Adding a random number below the weight of the last bit kept, then cutting off, goes to the upper neighbour
// as often as the value is near it. Infinities and NaNs stay what they are.
constexpr std::uint16_t bfloat16_code(float value, std::uint32_t random) {
  const std::uint32_t bits = bits_of(value);
  const bool finite = (bits & 0x7F800000u) != 0x7F800000u;
  return static_cast<std::uint16_t>((bits + select(finite, random >> 16, 0)) >> 16);
}

// Exponent field, as of a float32, of the unit of a block whose largest magnitude has these bits: the
// magnitude is at most 1.875 units, the largest code. kNotFinite also for what is too near float32's end.
constexpr std::uint8_t kNotFinite = 255;
constexpr std::uint8_t unit_exponent(std::uint32_t largest_bits) {
  const std::uint32_t field = (largest_bits + 0xFFFFFu) >> 23;
  return static_cast<std::uint8_t>(field <= 253 ? field : kNotFinite);
}
constexpr float unit_of(std::uint8_t exponent) { return float_of(std::uint32_t{exponent} << 23); }
constexpr float inverse_unit_of(std::uint8_t exponent) {  // not of kNotFinite
  return float_of((254u - exponent) << 23);
}

// Magnitudes below 2: kExponentBits of exponent, 3 of fraction. The codes of a float32 whose exponent is
// shifted, so that the float's own bits are the code; the eight smallest are multiples of 2^-kSmallest.
template <int kExponentBits>
struct Magnitude {
  static constexpr int kTop = (1 << kExponentBits) - 1;  // exponent field of [1, 2)
  static constexpr std::uint32_t kShift = (127u - kTop) << 23;
  static constexpr float kSmallest = float_of((127u - kTop - 2) << 23);
  static constexpr float kInverseSmallest = float_of((127u + kTop + 2) << 23);

  static constexpr float decode(std::uint32_t code) {
    const float small = static_cast<float>(static_cast<std::int32_t>(code)) * kSmallest;
    return float_of(select(code < 8, bits_of(small), (code << 20) + kShift));
  }
  static constexpr std::uint32_t encode(float magnitude, std::uint32_t random) {
    const std::uint32_t below_one = random >> 12;  // 20 bits: what a float32 has beyond the code
    const std::uint32_t large = (bits_of(magnitude) - kShift + below_one) >> 20;
    const bool is_small = bits_of(magnitude) < kShift + (1u << 23);
    const float steps = float_of(select(is_small, bits_of(magnitude), 0)) * kInverseSmallest;
    const auto small = static_cast<std::int32_t>(
        steps + static_cast<float>(static_cast<std::int32_t>(below_one)) * 0x1p-20F);
    return select(is_small, static_cast<std::uint32_t>(small), large);
  }
};

// A number of a block with this unit. Signed: first moments; a value below the smallest step becomes that
// step or 0. Unsigned: second moments; what is not 0 stays so, or the first moment would be divided by
// nothing.
struct SignedFloat8 {
  using Code = Magnitude<4>;
  static constexpr std::uint8_t encode(float value, float inverse_unit, std::uint32_t random) {
    const std::uint32_t bits = bits_of(value);
    const float magnitude = float_of(bits & 0x7FFFFFFFu) * inverse_unit;
    return static_cast<std::uint8_t>(Code::encode(magnitude, random) | ((bits >> 24) & 0x80u));
  }
  static constexpr float decode(std::uint8_t code, float unit) {
    const float magnitude = Code::decode(code & 0x7Fu) * unit;
    return float_of(bits_of(magnitude) | ((std::uint32_t{code} & 0x80u) << 24));
  }
};
struct UnsignedFloat8 {
  using Code = Magnitude<5>;
  static constexpr std::uint8_t encode(float value, float inverse_unit, std::uint32_t random) {
    const std::uint32_t code = Code::encode(value * inverse_unit, random);
    return static_cast<std::uint8_t>(
        select(code == 0, static_cast<std::uint32_t>(bits_of(value) != 0), code));
  }
  static constexpr float decode(std::uint8_t code, float unit) { return Code::decode(code) * unit; }
};

}  // namespace ddro::ops
