#include <algorithm>

#include "ddro/ops/parallel_for.h"
#include "ops/cpu/vector_clones.h"
#include "ops/moment_code_device.h"
#include "ops/moment_element.h"

// Each loop below is one sequence of correctly rounded operations: the same bits by any vectors.
namespace ddro::ops::cpu {
namespace {

constexpr std::int64_t kGrainBlocks = 32;

DDRO_VECTOR_CLONES std::uint32_t largest_magnitude_bits(const float* values, std::int64_t size) {
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < size; ++i) largest = std::max(largest, bits_of(values[i]) & 0x7FFFFFFFu);
  return largest;
}

DDRO_VECTOR_CLONES void encode_bfloat16(const float* values, std::int64_t size, std::uint32_t seed,
                                        std::uint16_t* codes) {
  for (std::int64_t i = 0; i < size; ++i)
    codes[i] = bfloat16_code(values[i], rounding_bits(seed, static_cast<std::uint32_t>(i)));
}

DDRO_VECTOR_CLONES void encode_signed(const float* values, std::int64_t size, std::uint32_t seed,
                                      float inverse_unit, std::uint8_t* codes) {
  for (std::int64_t i = 0; i < size; ++i) {
    codes[i] =
        SignedFloat8::encode(values[i], inverse_unit, rounding_bits(seed, static_cast<std::uint32_t>(i)));
  }
}

DDRO_VECTOR_CLONES void encode_unsigned(const float* values, std::int64_t size, std::uint32_t seed,
                                        float inverse_unit, std::uint8_t* codes) {
  for (std::int64_t i = 0; i < size; ++i) {
    codes[i] =
        UnsignedFloat8::encode(values[i], inverse_unit, rounding_bits(seed, static_cast<std::uint32_t>(i)));
  }
}

DDRO_VECTOR_CLONES void decode_signed(const std::uint8_t* codes, std::int64_t size, float unit,
                                      float* values) {
  for (std::int64_t i = 0; i < size; ++i) values[i] = SignedFloat8::decode(codes[i], unit);
}

DDRO_VECTOR_CLONES void decode_unsigned(const std::uint8_t* codes, std::int64_t size, float unit,
                                        float* values) {
  for (std::int64_t i = 0; i < size; ++i) values[i] = UnsignedFloat8::decode(codes[i], unit);
}

std::uint8_t encode_float8(MomentCode code, const float* values, std::int64_t size, std::uint32_t seed,
                           std::uint8_t* codes) {
  const std::uint8_t exponent = unit_exponent(largest_magnitude_bits(values, size));
  if (exponent == kNotFinite) {
    std::fill_n(codes, size, std::uint8_t{0});
  } else if (code == MomentCode::kSignedFloat8) {
    encode_signed(values, size, seed, inverse_unit_of(exponent), codes);
  } else {
    encode_unsigned(values, size, seed, inverse_unit_of(exponent), codes);
  }
  return exponent;
}

// Calls visit(block, first number, numbers) for each block, on all threads.
template <typename Visit>
void for_each_block(std::int64_t num_values, const Visit& visit) {
  const std::int64_t num_blocks = (num_values + kMomentBlock - 1) / kMomentBlock;
  parallel_for(0, num_blocks, kGrainBlocks, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kMomentBlock;
      visit(block, first, std::min(kMomentBlock, num_values - first));
    }
  });
}

}  // namespace

void decode_float8(MomentCode code, const MomentPart& part, const Tensor& values_N) {
  const auto* codes = part.codes_N.const_data_ptr<std::uint8_t>();
  const auto* exponents = part.exponents_B.const_data_ptr<std::uint8_t>();
  auto* values = values_N.data_ptr<float>();
  const auto decode = code == MomentCode::kSignedFloat8 ? decode_signed : decode_unsigned;
  for_each_block(values_N.numel(), [&](std::int64_t block, std::int64_t first, std::int64_t size) {
    decode(codes + first, size, unit_of(exponents[block]), values + first);
  });
}

void encode_moment(MomentCode code, const Tensor& values_N, std::uint64_t key, const MomentPart& part) {
  const auto* values = values_N.const_data_ptr<float>();
  const auto seed = [&](std::int64_t block) {
    return block_seed(key, static_cast<std::uint64_t>(part.first_block + block));
  };
  if (code == MomentCode::kBFloat16) {
    auto* codes = static_cast<std::uint16_t*>(part.codes_N.data_ptr());
    for_each_block(values_N.numel(), [&](std::int64_t block, std::int64_t first, std::int64_t size) {
      encode_bfloat16(values + first, size, seed(block), codes + first);
    });
    return;
  }
  auto* codes = part.codes_N.data_ptr<std::uint8_t>();
  auto* exponents = part.exponents_B.data_ptr<std::uint8_t>();
  for_each_block(values_N.numel(), [&](std::int64_t block, std::int64_t first, std::int64_t size) {
    exponents[block] = encode_float8(code, values + first, size, seed(block), codes + first);
  });
}

}  // namespace ddro::ops::cpu
