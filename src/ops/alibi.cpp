#include "ddro/ops/alibi.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include <bit>
#include <cmath>

namespace ddro::ops {

std::vector<double> alibi_slopes(std::int64_t heads, double bias_max) {
  const auto power = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(heads)));
  const auto slope = [&](std::int64_t i, std::int64_t count) {
    return std::exp2(-bias_max * static_cast<double>(i) / static_cast<double>(count));
  };
  std::vector<double> slopes;
  for (std::int64_t i = 1; i <= power; ++i) slopes.push_back(slope(i, power));
  for (std::int64_t i = 1; i <= heads - power; ++i) slopes.push_back(slope(2 * i - 1, 2 * power));
  return slopes;
}

Tensor alibi_biases(const Alibi& alibi, const Tensor& query_positions_B1Q1, const Tensor& key_positions_B11S,
                    at::ScalarType dtype) {
  const auto wide = at::toOpMathType(dtype);
  const Tensor slopes_1H11 = alibi.slopes_H.view({1, -1, 1, 1});
  if (!alibi.in_bfloat16) {
    const Tensor scaled_1H11 = (slopes_1H11 * alibi.scale).to(wide);
    return (scaled_1H11 * (key_positions_B11S - query_positions_B1Q1)).to(dtype);
  }
  const auto rounded = [&](const Tensor& positions) {
    return (slopes_1H11.to(at::kBFloat16) * positions.to(at::kBFloat16)).to(wide) * alibi.scale;
  };
  return (rounded(key_positions_B11S) - rounded(query_positions_B1Q1)).to(dtype);
}

}  // namespace ddro::ops
