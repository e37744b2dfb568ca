#include "ddro/base/gguf_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ddro/base/error.h"

namespace ddro {
namespace {

using Bytes = const std::uint8_t*;

constexpr BlockFormat kFormats[] = {
    {BlockType::kF32, "F32", 1, 4},       {BlockType::kF16, "F16", 1, 2},
    {BlockType::kBF16, "BF16", 1, 2},     {BlockType::kQ4_0, "Q4_0", 32, 18},
    {BlockType::kQ4_1, "Q4_1", 32, 20},   {BlockType::kQ5_0, "Q5_0", 32, 22},
    {BlockType::kQ5_1, "Q5_1", 32, 24},   {BlockType::kQ8_0, "Q8_0", 32, 34},
    {BlockType::kQ4_K, "Q4_K", 256, 144}, {BlockType::kQ5_K, "Q5_K", 256, 176},
    {BlockType::kQ6_K, "Q6_K", 256, 210},
};

float float_of_half(std::uint32_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t rest = bits & 0x7FFFU;
  if (rest >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | (rest & 0x3FFU) << 13U);
  if (rest >= 0x0400U) return std::bit_cast<float>(sign | ((rest << 13U) + (112U << 23U)));
  const float magnitude = static_cast<float>(rest) * 0x1p-24F;
  return sign ? -magnitude : magnitude;
}

std::uint16_t bits_at(Bytes at) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return bits;
}

float half_at(Bytes at) { return float_of_half(bits_at(at)); }

int low(std::uint8_t byte) { return byte & 15; }
int high(std::uint8_t byte) { return byte >> 4; }

void unpack_f32(Bytes block, float* out) { std::memcpy(out, block, sizeof(float)); }
void unpack_f16(Bytes block, float* out) { *out = half_at(block); }
void unpack_bf16(Bytes block, float* out) {
  *out = std::bit_cast<float>(static_cast<std::uint32_t>(bits_at(block)) << 16U);
}

// The first half of a block's numbers are the lower bits of its bytes.
void unpack_q4_0(Bytes block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(block[2 + i]) - 8);
    out[i + 16] = scale * static_cast<float>(high(block[2 + i]) - 8);
  }
}

void unpack_q4_1(Bytes block, float* out) {
  const float scale = half_at(block), offset = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(block[4 + i])) + offset;
    out[i + 16] = scale * static_cast<float>(high(block[4 + i])) + offset;
  }
}

// The fifth bits of 32 numbers, one behind the other.
int fifth_bit(Bytes bits, int number) { return (bits[number / 8] >> (number % 8) & 1) << 4; }

void unpack_q5_0(Bytes block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>((low(block[6 + i]) | fifth_bit(block + 2, i)) - 16);
    out[i + 16] = scale * static_cast<float>((high(block[6 + i]) | fifth_bit(block + 2, i + 16)) - 16);
  }
}

void unpack_q5_1(Bytes block, float* out) {
  const float scale = half_at(block), offset = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(low(block[8 + i]) | fifth_bit(block + 4, i)) + offset;
    out[i + 16] = scale * static_cast<float>(high(block[8 + i]) | fifth_bit(block + 4, i + 16)) + offset;
  }
}

void unpack_q8_0(Bytes block, float* out) {
  const float scale = half_at(block);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * scale;
}

// Of eight groups of 32 numbers: six bits each for its scale and its offset, as multiples of the block's.
struct Group {
  float scale, offset;
};

Group group_at(Bytes block, int group) {
  const Bytes packed = block + 4;
  const bool first = group < 4;
  const int scale = first ? packed[group] & 63 : low(packed[group + 4]) | packed[group - 4] >> 6 << 4;
  const int offset = first ? packed[group + 4] & 63 : high(packed[group + 4]) | packed[group] >> 6 << 4;
  return {half_at(block) * static_cast<float>(scale), half_at(block + 2) * static_cast<float>(offset)};
}

// Two groups share 32 bytes.
void unpack_q4_k(Bytes block, float* out) {
  for (int group = 0; group < 8; group += 2) {
    const Bytes bytes = block + 16 + group * 16;
    const Group even = group_at(block, group), odd = group_at(block, group + 1);
    for (int i = 0; i < 32; ++i, ++out) {
      out[0] = even.scale * static_cast<float>(low(bytes[i])) - even.offset;
      out[32] = odd.scale * static_cast<float>(high(bytes[i])) - odd.offset;
    }
    out += 32;
  }
}

// Bit g of byte i is the fifth of number i of group g.
void unpack_q5_k(Bytes block, float* out) {
  const Bytes fifths = block + 16;
  for (int group = 0; group < 8; group += 2) {
    const Bytes bytes = block + 48 + group * 16;
    const Group even = group_at(block, group), odd = group_at(block, group + 1);
    for (int i = 0; i < 32; ++i, ++out) {
      const int bits = fifths[i] >> group;
      out[0] = even.scale * static_cast<float>(low(bytes[i]) | (bits & 1) << 4) - even.offset;
      out[32] = odd.scale * static_cast<float>(high(bytes[i]) | (bits >> 1 & 1) << 4) - odd.offset;
    }
    out += 32;
  }
}

// Four groups of 32 numbers take their lower four bits from 64 bytes and their upper two from 32; every 16
// numbers have a scale.
void unpack_q6_k(Bytes block, float* out) {
  const float whole = half_at(block + 208);
  for (int group = 0; group < 8; ++group) {
    const int half = group / 4, part = group % 4;
    const Bytes lower = block + half * 64 + part % 2 * 32, upper = block + 128 + half * 32;
    for (int i = 0; i < 32; ++i, ++out) {
      const auto step = static_cast<std::int8_t>(block[192 + group * 2 + i / 16]);
      const int four = part < 2 ? low(lower[i]) : high(lower[i]);
      *out = whole * static_cast<float>(step) *
             static_cast<float>((four | (upper[i] >> (2 * part) & 3) << 4) - 32);
    }
  }
}

template <size_t kNumbers, size_t kBytes, void (*kUnpack)(Bytes, float*)>
void unpack_all(std::span<const std::byte> blocks, float* out) {
  const auto* at = reinterpret_cast<Bytes>(blocks.data());
  for (size_t i = 0; i < blocks.size() / kBytes; ++i, at += kBytes, out += kNumbers) kUnpack(at, out);
}

}  // namespace

const BlockFormat* find_block_format(std::uint32_t type) {
  const auto* const found = std::find_if(
      std::begin(kFormats), std::end(kFormats),
      [&](const BlockFormat& format) { return static_cast<std::uint32_t>(format.type) == type; });
  return found == std::end(kFormats) ? nullptr : found;
}

const BlockFormat& block_format(BlockType type) {
  return *find_block_format(static_cast<std::uint32_t>(type));
}

std::string known_block_types() {
  std::string names;
  for (const BlockFormat& format : kFormats) names += (names.empty() ? "" : ", ") + std::string(format.name);
  return names;
}

void unpack_blocks(BlockType type, std::span<const std::byte> blocks, std::span<float> numbers) {
  const BlockFormat& format = block_format(type);
  DDRO_CHECK(
      blocks.size() % format.bytes == 0 && numbers.size() == blocks.size() / format.bytes * format.numbers,
      "blocks are unpacked whole");
  float* const out = numbers.data();
  switch (type) {
    case BlockType::kF32:
      return unpack_all<1, 4, unpack_f32>(blocks, out);
    case BlockType::kF16:
      return unpack_all<1, 2, unpack_f16>(blocks, out);
    case BlockType::kBF16:
      return unpack_all<1, 2, unpack_bf16>(blocks, out);
    case BlockType::kQ4_0:
      return unpack_all<32, 18, unpack_q4_0>(blocks, out);
    case BlockType::kQ4_1:
      return unpack_all<32, 20, unpack_q4_1>(blocks, out);
    case BlockType::kQ5_0:
      return unpack_all<32, 22, unpack_q5_0>(blocks, out);
    case BlockType::kQ5_1:
      return unpack_all<32, 24, unpack_q5_1>(blocks, out);
    case BlockType::kQ8_0:
      return unpack_all<32, 34, unpack_q8_0>(blocks, out);
    case BlockType::kQ4_K:
      return unpack_all<256, 144, unpack_q4_k>(blocks, out);
    case BlockType::kQ5_K:
      return unpack_all<256, 176, unpack_q5_k>(blocks, out);
    case BlockType::kQ6_K:
      return unpack_all<256, 210, unpack_q6_k>(blocks, out);
  }
}

}  // namespace ddro
