// Attention with linear biases: what a key's distance from a query adds to its score.
//
// Legend: B segments, H query heads, Q queries, S keys.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::ops {

struct Alibi {
  Tensor slopes_H;  // float64
  // Slope, position and product are rounded to bfloat16, so that a distance has another bias further on.
  bool in_bfloat16 = false;
  double scale = 1;  // of the biases
};

// 2^(-bias_max i / n) for i = 1 ... n. Where heads are no power of two, those of the next lower power, and
// the odd i of the next higher one.
std::vector<double> alibi_slopes(std::int64_t heads, double bias_max);

// scale slope (key position - query position): B x H x Q x S, of `dtype`, computed in float32 or better.
Tensor alibi_biases(const Alibi& alibi, const Tensor& query_positions_B1Q1, const Tensor& key_positions_B11S,
                    at::ScalarType dtype);

}  // namespace ddro::ops
