// The attention of a layer, with its tensors.
//
// Legend: T packed tokens, D width, H query heads, G key/value heads, K head width.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ddro/models/kv_cache.h"
#include "ddro/models/router_balance.h"
#include "ddro/ops/varlen_attention.h"
#include "models/parameter_table.h"

namespace ddro::models {

// Turns of a rotary embedding at the tokens' positions.
struct Angles {
  Tensor cos_T1K, sin_T1K;
};

// What the layers of one forward share.
struct Shared {
  std::vector<Angles> angles;                          // of each of the model's rotary embeddings
  std::shared_ptr<const ops::AttentionLayout> layout;  // a copy: recomputation needs it after the forward
  KvCache* cache = nullptr;                            // instead of a layout
  PackedKeyValues* kept_kv = nullptr;
  RouterBalance* balance = nullptr;
};

class Attention {
 public:
  // `layer`: its place in a cache. `angles`: which of Shared's, where there is a rotary embedding.
  Attention(const AttentionSpec& spec, const ParameterTable& table, size_t layer, size_t angles);
  Tensor operator()(const Tensor& x_TD, const Shared& shared) const;

 private:
  struct Heads {
    Tensor q_THK, k_TGK, v_TGK;
  };

  const ops::Alibi* alibi() const { return alibi_ ? &*alibi_ : nullptr; }
  Heads project(const Tensor& x_TD) const;
  void norm_heads(Heads& heads) const;
  Heads heads_of(const Tensor& x_TD, const Shared& shared) const;

  AttentionSpec spec_;
  Linear q_, k_, v_, fused_, o_;
  OptionalNorm q_norm_, k_norm_;
  Tensor sinks_H_;  // undefined without them
  double scale_;
  std::optional<ops::Alibi> alibi_;
  size_t layer_, angles_;
};

}  // namespace ddro::models
