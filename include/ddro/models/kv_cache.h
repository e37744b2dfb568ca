// Keys and values of the tokens so far, which a model that goes on token by token need not compute again.
//
// Legend: T packed tokens, N sequences, S positions, H query heads, G key/value heads, K head width.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/models/model_spec.h"
#include "ddro/ops/alibi.h"

namespace ddro::models {

// Each layer's keys (after the rotary embedding) and values of the tokens of one packed forward.
struct PackedKeyValues {
  std::vector<Tensor> k_TGK, v_TGK;
};

// Keys and values of up to `max_sequences` sequences, side by side, so that one forward appends a token to
// each. Memory for the longest sequence is held for all of them; it grows by half and by blocks, up to the
// model's positions. Builds no graph. Not for use by several threads at once.
class KvCache {
 public:
  // `options`: device and dtype of the model's keys.
  KvCache(const ModelSpec& spec, std::int64_t max_sequences, const at::TensorOptions& options);

  std::int64_t size() const { return static_cast<std::int64_t>(lengths_.size()); }  // N
  const std::vector<std::int64_t>& lengths() const { return lengths_; }             // tokens of each sequence
  std::int64_t bytes() const;

  // A new last sequence with tokens [begin, begin + length) of a packed forward, copied.
  void append(const PackedKeyValues& source, std::int64_t begin, std::int64_t length);
  // The last sequence takes the place of the removed one.
  void remove(std::int64_t index);

  // For the model's forward. Makes room for one more token of each sequence; then, layer by layer, adds its
  // key and value and attends: softmax(scale q k^T) v over a sequence's tokens, the last `window` of them,
  // with the scores' `softcap` where it is above 0, and `sinks_H` where they are defined, or the biases of
  // `alibi`.
  void advance();
  Tensor attend(size_t index, const Tensor& q_NHK, const Tensor& k_NGK, const Tensor& v_NGK, double scale,
                std::int64_t window, double softcap, const Tensor& sinks_H = {},
                const ops::Alibi* alibi = nullptr);

 private:
  struct Layer {
    std::int64_t num_heads = 0, head_dim = 0;
    Tensor k_NSGK, v_NSGK;
  };

  void reserve(std::int64_t positions);
  Tensor mask(std::int64_t window);
  Tensor mask_by_heads(const Layer& layer, std::int64_t window, const ops::Alibi* alibi);

  std::int64_t max_sequences_, max_positions_;
  at::TensorOptions options_;
  std::vector<Layer> layers_;
  std::vector<std::int64_t> lengths_;
  std::int64_t capacity_ = 0;  // S of the tensors
  // Of the newest token: valid from advance() on.
  std::int64_t longest_ = 0;
  Tensor rows_N_;          // its places among the N S positions
  Tensor positions_N111_;  // its positions
  Tensor full_mask_N11S_, window_mask_N11S_;
};

}  // namespace ddro::models
