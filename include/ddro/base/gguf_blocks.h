// Numbers as a GGUF file packs them: blocks of small integers that share a scale and, in some types, an
// offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ddro {

// Those that can be unpacked; the values are the file format's.
enum class BlockType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

struct BlockFormat {
  BlockType type;
  const char* name;
  size_t numbers;  // in a block
  size_t bytes;
};

const BlockFormat* find_block_format(std::uint32_t type);  // null for a type that is not known
const BlockFormat& block_format(BlockType type);
std::string known_block_types();  // "F32, F16, ...", for messages

// Whole blocks, to as many numbers. Each is scale * integer (+ offset), rounded to float32 after every
// operation: the same bits as of the format's Python library.
void unpack_blocks(BlockType type, std::span<const std::byte> blocks, std::span<float> numbers);

}  // namespace ddro
