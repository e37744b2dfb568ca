// Legend: N sequences, S positions, H query heads, G key/value heads, R = H / G query heads a key, K head
// width.
#include "ddro/models/kv_cache.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "ddro/base/error.h"
#include "ddro/ops/upload.h"
#include "ddro/ops/varlen_attention.h"

namespace ddro::models {
namespace {

constexpr std::int64_t kBlockPositions = 64;

}  // namespace

KvCache::KvCache(const ModelSpec& spec, std::int64_t max_sequences, const at::TensorOptions& options)
    : max_sequences_(max_sequences), max_positions_(spec.max_position_embeddings), options_(options) {
  for (const LayerSpec& layer : spec.layers)
    layers_.push_back({layer.attention.num_key_value_heads, layer.attention.head_dim, {}, {}});
  DDRO_CHECK(max_sequences > 0, "a cache holds a sequence");
}

std::int64_t KvCache::bytes() const {
  std::int64_t numbers = 0;
  for (const Layer& layer : layers_) numbers += 2 * layer.num_heads * layer.head_dim;
  return max_sequences_ * capacity_ * numbers * static_cast<std::int64_t>(options_.dtype().itemsize());
}

// Zeros rather than whatever the memory holds: a masked key's weight is zero, but zero times not-a-number is
// not.
void KvCache::reserve(std::int64_t positions) {
  if (positions <= capacity_) return;
  DDRO_CHECK(positions <= max_positions_, "more tokens than the model has positions");
  const std::int64_t wanted = std::max(positions, capacity_ + capacity_ / 2);
  const std::int64_t blocks = (wanted + kBlockPositions - 1) / kBlockPositions;
  const std::int64_t grown = std::min(blocks * kBlockPositions, max_positions_);
  const auto grow = [&](const Layer& layer, Tensor& x_NSGK) {
    const Tensor larger = at::zeros({max_sequences_, grown, layer.num_heads, layer.head_dim}, options_);
    if (x_NSGK.defined()) larger.narrow(1, 0, capacity_).copy_(x_NSGK);
    x_NSGK = larger;
  };
  for (Layer& layer : layers_) {
    grow(layer, layer.k_NSGK);
    grow(layer, layer.v_NSGK);
  }
  capacity_ = grown;
}

void KvCache::append(const PackedKeyValues& source, std::int64_t begin, std::int64_t length) {
  DDRO_CHECK(size() < max_sequences_, "the cache is full");
  DDRO_CHECK(source.k_TGK.size() == layers_.size(), "keys and values of every layer");
  const at::NoGradGuard no_grad;
  reserve(length);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto copy = [&](const Tensor& to_NSGK, const Tensor& from_TGK) {
      to_NSGK.select(0, size()).narrow(0, 0, length).copy_(from_TGK.narrow(0, begin, length));
    };
    copy(layers_[i].k_NSGK, source.k_TGK[i]);
    copy(layers_[i].v_NSGK, source.v_TGK[i]);
  }
  lengths_.push_back(length);
}

void KvCache::remove(std::int64_t index) {
  DDRO_CHECK(index >= 0 && index < size(), "no such sequence");
  const std::int64_t last = size() - 1;
  const std::int64_t length = lengths_.back();
  if (index != last) {
    for (const Layer& layer : layers_) {
      for (const Tensor& x_NSGK : {layer.k_NSGK, layer.v_NSGK}) {
        x_NSGK.select(0, index).narrow(0, 0, length).copy_(x_NSGK.select(0, last).narrow(0, 0, length));
      }
    }
  }
  lengths_[static_cast<size_t>(index)] = length;
  lengths_.pop_back();
}

void KvCache::advance() {
  DDRO_CHECK(size() > 0, "an empty cache has nothing to go on from");
  longest_ = *std::max_element(lengths_.begin(), lengths_.end()) + 1;
  reserve(longest_);
  std::vector<std::int64_t> rows;
  for (size_t n = 0; n < lengths_.size(); ++n) {
    rows.push_back(static_cast<std::int64_t>(n) * capacity_ + lengths_[n]);
  }
  const std::vector<Tensor> there = ops::upload({rows, lengths_}, options_.device());
  rows_N_ = there[0];
  positions_N111_ = there[1].view({-1, 1, 1, 1});
  full_mask_N11S_ = window_mask_N11S_ = Tensor();
  for (std::int64_t& length : lengths_) ++length;
}

// What is added to the scores: minus infinity where a token does not see a position. Undefined where all see
// all.
Tensor KvCache::mask(std::int64_t window) {
  const bool windowed = window < longest_;
  const std::int64_t shortest = *std::min_element(lengths_.begin(), lengths_.end());
  if (!windowed && shortest == longest_) return {};
  Tensor& result_N11S = windowed ? window_mask_N11S_ : full_mask_N11S_;
  if (!result_N11S.defined()) {
    const Tensor keys_S = at::arange(longest_, positions_N111_.options());
    Tensor hidden_N11S = keys_S > positions_N111_;
    if (windowed) hidden_N11S.logical_or_(keys_S <= positions_N111_ - window);
    result_N11S = at::zeros({size(), 1, 1, longest_}, options_)
                      .masked_fill_(hidden_N11S, -std::numeric_limits<double>::infinity());
  }
  return result_N11S;
}

// The same for the R query heads of each key head, with their biases.
Tensor KvCache::mask_by_heads(const Layer& layer, std::int64_t window, const ops::Alibi* alibi) {
  const Tensor mask_N11S = mask(window);
  if (!alibi) return mask_N11S;
  const Tensor keys_111S = at::arange(longest_, positions_N111_.options()).view({1, 1, 1, -1});
  const Tensor biases_NHS =
      ops::alibi_biases(*alibi, positions_N111_, keys_111S, options_.dtype().toScalarType()).squeeze(2);
  const Tensor biases_NGRS = biases_NHS.view({size(), layer.num_heads, -1, longest_});
  return mask_N11S.defined() ? biases_NGRS + mask_N11S : biases_NGRS;
}

Tensor KvCache::attend(size_t index, const Tensor& q_NHK, const Tensor& k_NGK, const Tensor& v_NGK,
                       double scale, std::int64_t window, double softcap, const Tensor& sinks_H,
                       const ops::Alibi* alibi) {
  DDRO_CHECK(k_NGK.size(0) == size() && rows_N_.size(0) == size(), "one new token for each sequence");
  const Layer& layer = layers_[index];
  const auto add = [&](const Tensor& held_NSGK, const Tensor& new_NGK) {
    held_NSGK.view({-1, layer.num_heads, layer.head_dim}).index_copy_(0, rows_N_, new_NGK);
    return held_NSGK.narrow(0, 0, size()).narrow(1, 0, longest_).transpose(1, 2);
  };
  const Tensor k_NGSK = add(layer.k_NSGK, k_NGK);
  const Tensor v_NGSK = add(layer.v_NSGK, v_NGK);
  if (softcap > 0 || sinks_H.defined()) {
    return ops::composed_attention(q_NHK.unsqueeze(2), k_NGSK, v_NGSK, mask(window), scale, softcap, sinks_H)
        .squeeze(2);
  }
  // The query heads that share a key head stand where the queries of a sequence usually do: keys are read
  // once.
  const Tensor q_NGRK = q_NHK.reshape({size(), layer.num_heads, -1, layer.head_dim});
  const Tensor mask_NGRS = mask_by_heads(layer, window, alibi);
  const Tensor out_NGRK = at::scaled_dot_product_attention(
      q_NGRK, k_NGSK, v_NGSK, mask_NGRS.defined() ? std::optional<Tensor>(mask_NGRS) : std::nullopt,
      /*dropout_p=*/0.0, /*is_causal=*/false, scale);
  return out_NGRK.reshape(q_NHK.sizes());
}

}  // namespace ddro::models
