// Short forms for AdamW's moments, written with stochastic rounding: a value becomes one of its two
// neighbours in the form, and its mean over many roundings is the value itself. Rounding to nearest would
// freeze a second moment: one update changes it by a share of 1 - beta2, less than half of what a short form
// resolves.
//
//   bfloat16   the upper half of a float32
//   float8     one exponent for each block of kMomentBlock numbers, a power of two just above its largest
//              magnitude (so that a block's other numbers stay where they are when the largest changes), and
//              for each number 8 bits beside it: sign, 4 of exponent, 3 of fraction (first moments, down to
//              2^-17 of the block's unit) or 5 of exponent, 3 of fraction (second moments, down to 2^-33).
//              A second moment that is not 0 never becomes 0: the update divides by its root.
//
// Legend: N numbers, B blocks of kMomentBlock of them, the last one possibly shorter.
#pragma once

#include <cstdint>

#include "ddro/base/tensor.h"

namespace ddro::ops {

enum class MomentCode { kBFloat16, kSignedFloat8, kUnsignedFloat8 };

inline constexpr std::int64_t kMomentBlock = 256;

// Codes and exponents of a part of a tensor that begins at its block `first_block`. exponents_B: of float8,
// an empty tensor otherwise. All contiguous, on one device.
struct MomentPart {
  Tensor codes_N;      // bfloat16, or uint8
  Tensor exponents_B;  // uint8; 255: the block holds a value that is not finite, or one above 1.59e38
  std::int64_t first_block = 0;
};

// Writes the values, float32, of a part's codes.
void decode_moment(MomentCode code, const MomentPart& part, const Tensor& values_N);

// Rounds float32 values into a part. Deterministic: how a number is rounded depends on the value, `key`, and
// its place in the whole tensor; take another key for each tensor and step. Values of kUnsignedFloat8 are not
// negative.
void encode_moment(MomentCode code, const Tensor& values_N, std::uint64_t key, const MomentPart& part);

}  // namespace ddro::ops
