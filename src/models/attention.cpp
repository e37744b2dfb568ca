#include "models/attention.h"

#include <ATen/ATen.h>

#include <cmath>

#include "ddro/ops/rotary.h"

namespace ddro::models {
namespace {

// Each head by itself, or all of a token together: what the norm is as wide as.
Tensor normed_heads(const OptionalNorm& norm, const std::optional<NormSpec>& spec, const Tensor& x_THK) {
  if (!norm) return x_THK;
  if (spec->width == x_THK.size(2)) return (*norm)(x_THK);
  return (*norm)(x_THK.reshape({x_THK.size(0), -1, spec->width})).view(x_THK.sizes());
}

// Scores of queries and keys stay the same if both have their numbers in another order, so interleaved pairs
// are brought to where the halves are.
Tensor turned(const RotarySpec& rotary, const Tensor& x_THK, const Angles& angles) {
  const std::int64_t width = rotary.width, rest = x_THK.size(2) - width;
  Tensor part_THK = rest == 0 ? x_THK : x_THK.narrow(2, 0, width);
  if (rotary.interleaved) part_THK = part_THK.unflatten(2, {-1, 2}).transpose(2, 3).flatten(2);
  part_THK = ops::rotary(part_THK, angles.cos_T1K, angles.sin_T1K);
  return rest == 0 ? part_THK : at::cat({part_THK, x_THK.narrow(2, width, rest)}, 2);
}

std::optional<ops::Alibi> make_alibi(const AttentionSpec& spec, double scale, at::Device device) {
  if (!spec.alibi) return std::nullopt;
  const std::vector<double> slopes = ops::alibi_slopes(spec.num_heads, spec.alibi->bias_max);
  return ops::Alibi{.slopes_H = at::tensor(slopes, at::kDouble).to(device),
                    .in_bfloat16 = spec.alibi->in_bfloat16,
                    .scale = spec.alibi->in_bfloat16 ? scale : 1};
}

}  // namespace

Attention::Attention(const AttentionSpec& spec, const ParameterTable& table, size_t layer, size_t angles)
    : spec_(spec),
      q_(table[spec.query]),
      k_(table[spec.key]),
      v_(table[spec.value]),
      fused_(table[spec.fused]),
      o_(table[spec.output]),
      q_norm_(table[spec.query_norm]),
      k_norm_(table[spec.key_norm]),
      sinks_H_(spec.sinks_name.empty() ? Tensor() : table[spec.sinks_name]),
      scale_(spec.scale.value_or(1 / std::sqrt(static_cast<double>(spec.head_dim)))),
      alibi_(make_alibi(spec, scale_, o_.weight.device())),
      layer_(layer),
      angles_(angles) {}

Attention::Heads Attention::project(const Tensor& x_TD) const {
  const std::int64_t tokens = x_TD.size(0);
  if (!fused_.weight.defined()) {
    return {q_(x_TD).view({tokens, spec_.num_heads, spec_.head_dim}),
            k_(x_TD).view({tokens, spec_.num_key_value_heads, spec_.head_dim}),
            v_(x_TD).view({tokens, spec_.num_key_value_heads, spec_.head_dim})};
  }
  const std::int64_t queries = spec_.num_heads / spec_.fused_groups;
  const std::int64_t keys = spec_.num_key_value_heads / spec_.fused_groups;
  const auto parts = fused_(x_TD)
                         .view({tokens, spec_.fused_groups, -1, spec_.head_dim})
                         .split_with_sizes({queries, keys, keys}, 2);
  const auto heads = [&](size_t i) { return parts[i].reshape({tokens, -1, spec_.head_dim}); };
  return {heads(0), heads(1), heads(2)};
}

void Attention::norm_heads(Heads& heads) const {
  heads.q_THK = normed_heads(q_norm_, spec_.query_norm, heads.q_THK);
  heads.k_TGK = normed_heads(k_norm_, spec_.key_norm, heads.k_TGK);
}

Attention::Heads Attention::heads_of(const Tensor& x_TD, const Shared& shared) const {
  Heads heads = project(x_TD);
  if (!spec_.norms_turned) norm_heads(heads);
  if (spec_.clip) {
    for (Tensor* x : {&heads.q_THK, &heads.k_TGK, &heads.v_TGK}) *x = x->clamp(-*spec_.clip, *spec_.clip);
  }
  if (spec_.rotary.width > 0) {
    const Angles& angles = shared.angles[angles_];
    heads.q_THK = turned(spec_.rotary, heads.q_THK, angles);
    heads.k_TGK = turned(spec_.rotary, heads.k_TGK, angles);
  }
  if (spec_.norms_turned) norm_heads(heads);
  return heads;
}

Tensor Attention::operator()(const Tensor& x_TD, const Shared& shared) const {
  const auto [q_THK, k_TGK, v_TGK] = heads_of(x_TD, shared);
  const std::int64_t window = spec_.window.value_or(ops::kNoWindow);
  const double softcap = spec_.softcap.value_or(0);
  if (shared.kept_kv != nullptr) {
    shared.kept_kv->k_TGK.push_back(k_TGK);
    shared.kept_kv->v_TGK.push_back(v_TGK);
  }
  const Tensor out_THK = shared.cache ? shared.cache->attend(layer_, q_THK, k_TGK, v_TGK, scale_, window,
                                                             softcap, sinks_H_, alibi())
                                      : ops::varlen_attention(q_THK, k_TGK, v_TGK, *shared.layout, scale_,
                                                              window, softcap, sinks_H_, alibi());
  return o_(out_THK.reshape({x_TD.size(0), -1}));
}

}  // namespace ddro::models
