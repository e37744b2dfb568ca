// Legend: N experts, E outputs, G groups, D = 32 G inputs.
#include "models/mxfp4.h"

#include <ATen/ATen.h>

#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/base/interruption.h"

namespace ddro::models {
namespace {

constexpr const char* kBlocks = "_blocks";
constexpr const char* kScales = "_scales";
constexpr std::int64_t kExponentBias = 127;

// By their four bits: a sign, two of an exponent, one behind the point.
Tensor values() {
  return at::tensor({0.0F, 0.5F, 1.0F, 1.5F, 2.0F, 3.0F, 4.0F, 6.0F,  //
                     -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F});
}

// Of one expert: D x E.
Tensor unpack(const Tensor& blocks_EGB, const Tensor& scales_EG) {
  const Tensor codes = at::stack({blocks_EGB.bitwise_and(15), blocks_EGB.bitwise_right_shift(4)}, -1);
  const Tensor numbers_EGP =
      values().index_select(0, codes.flatten().to(at::kInt)).view({scales_EG.size(0), scales_EG.size(1), -1});
  const Tensor exponents_EG1 = (scales_EG.to(at::kInt) - kExponentBias).unsqueeze(-1);
  return at::ldexp(numbers_EGP, exponents_EG1).flatten(1).t();
}

Tensor unpack_all(const Tensor& blocks_NEGB, const Tensor& scales_NEG) {
  const std::int64_t inputs = 2 * blocks_NEGB.size(2) * blocks_NEGB.size(3);
  const Tensor weight_NDE =
      at::empty({blocks_NEGB.size(0), inputs, blocks_NEGB.size(1)}, at::TensorOptions(at::kBFloat16));
  for (std::int64_t n = 0; n < weight_NDE.size(0); ++n) {
    leave_if_interrupted();
    weight_NDE.select(0, n).copy_(unpack(blocks_NEGB.select(0, n), scales_NEG.select(0, n)));
  }
  return weight_NDE;
}

bool fit(const Tensor& blocks, const Tensor& scales) {
  return blocks.scalar_type() == at::kByte && scales.scalar_type() == at::kByte && blocks.dim() == 4 &&
         blocks.size(3) == 16 && scales.sizes() == blocks.sizes().slice(0, 3);
}

}  // namespace

void unpack_mxfp4(NamedTensors& tensors, const std::string& where) {
  std::unordered_map<std::string, Tensor> scales;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with(kScales)) scales.emplace(name, tensor);
  }
  for (auto& [name, tensor] : tensors) {
    if (!name.ends_with(kBlocks)) continue;
    const std::string base = name.substr(0, name.size() - std::string_view(kBlocks).size());
    const auto own = scales.find(base + kScales);
    if (own == scales.end() || !fit(tensor, own->second)) {
      throw model_error("[" + where + "] tensor " + printable(name) + " is no MXFP4 weight with its " +
                        printable(base + kScales));
    }
    tensor = unpack_all(tensor, own->second);
    name = base;
    scales.erase(own);
  }
  if (!scales.empty())
    throw model_error("[" + where + "] tensor " + printable(scales.begin()->first) + " has no blocks");
  std::erase_if(tensors, [](const auto& named) { return named.first.ends_with(kScales); });
}

}  // namespace ddro::models
