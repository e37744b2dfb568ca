// A decoder-only language model over packed tokens.
//
// Legend: T packed tokens, C positions asked for, D width, V vocabulary.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ddro/base/tensor_io.h"
#include "ddro/models/adapter.h"
#include "ddro/models/kv_cache.h"
#include "ddro/models/model_spec.h"
#include "ddro/models/router_balance.h"
#include "ddro/models/weight_store.h"
#include "ddro/ops/varlen_attention.h"

namespace ddro::models {

// Tokens see each other as the layout says; or there is a cache instead, whose sequence t is continued by
// token t and then holds it.
struct ModelInput {
  Tensor ids_T;        // int64
  Tensor positions_T;  // int64, restart at 0 with each sequence
  const ops::AttentionLayout* layout = nullptr;
  Tensor output_positions_C;           // int64 indices into T (repeats allowed)
  KvCache* cache = nullptr;            // no graph is built through it
  PackedKeyValues* kept_kv = nullptr;  // with a layout: gets what a cache needs of these tokens, no graph
  RouterBalance* balance = nullptr;    // of the routers: outlives the backward
  // Called in the backward with each unit (ddro/models/weight_units.h) but the first, from the last on, when
  // the gradients of what is in it are complete.
  std::function<void(size_t unit)> on_complete = nullptr;
};

struct BuildOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // compute dtype; norms and softmax work in float32 or better inside
  bool trainable = true;  // parameters require grad and own their memory; else they may alias `tensors`
  // Trained in place of the weights, which then may alias `tensors` and require no grad. Read while building.
  const Adapter* adapter = nullptr;
  // Frozen weights stay in a shorter type than `dtype` where `tensors` have it (those of
  // ddro/models/packed_base.h); each product widens its own. The numbers are the same.
  bool keep_stored_dtype = false;
  bool gradient_checkpointing = false;  // recompute each layer in the backward
  // Has the weights between two uses; null: they are always whole.
  std::shared_ptr<WeightStore> store = nullptr;
};

class CausalLm {
 public:
  virtual ~CausalLm() = default;
  // Hidden states after the final norm at the asked positions: C x D, scaled by what the model scales its
  // logits by. Differentiable when trainable and grad mode is on.
  virtual Tensor hidden(const ModelInput& input) const = 0;
  // Unique parameters in a fixed order, named as in the model folder. A tied head appears once, as the
  // embedding. Those of an adapter follow, named as in its folder.
  virtual const NamedTensors& parameters() const = 0;
  // V x D: lm_head.weight, or the embedding when tied; or what an adapter has in its place.
  virtual Tensor head_weight() const = 0;
  // The name under which head_weight() is listed in parameters().
  virtual const std::string& head_weight_name() const = 0;
  // V, named as the spec has it; undefined without one.
  virtual Tensor head_bias() const { return {}; }
  virtual const ModelSpec& spec() const = 0;

  // Of a model whose weights are in a store; without one there is nothing to do. The head's weights are whole
  // from hidden() on, until one of these or the next hidden(); gradients are complete after end_backward().
  virtual WeightStore* weight_store() const { return nullptr; }
  virtual void end_forward() const {}
  virtual void end_backward() const {}
  // Gathers, releases and completes the gradients of all units as a forward does, with its backward or
  // without, and computes nothing: where several share the weights, what one without input has to do.
  virtual void take_part(bool /*with_backward*/) const {}
};

// C x V of hidden(): the head's product, with the soft cap of models that have one.
Tensor logits(const CausalLm& model, const Tensor& hidden_CD);

// `tensors`: as ModelFolder holds them (any float dtype; cast to options.dtype).
std::unique_ptr<CausalLm> make_causal_lm(const ModelSpec& spec, const NamedTensors& tensors,
                                         const BuildOptions& options);

}  // namespace ddro::models
