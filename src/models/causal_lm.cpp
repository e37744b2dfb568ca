// The decoder that runs every family. Legend: T packed tokens, C positions asked for, D width, F feed-forward
// width, H query heads, G key/value heads, K head width, J frequencies, P learned positions.
#include "ddro/models/causal_lm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/ops/linear.h"
#include "ddro/ops/repeatable.h"
#include "ddro/ops/rotary.h"
#include "models/layer_parts.h"
#include "models/linear.h"
#include "models/parameters.h"
#include "models/recompute.h"

namespace ddro::models {
namespace {

// Norms that are not there are empty.
using OptionalNorm = std::optional<Norm>;

struct Attention {
  AttentionSpec spec;
  Linear q, k, v, fused, o;
  OptionalNorm q_norm, k_norm;
  double scale = 0;
  size_t angles = 0;  // of the model's, where there is a rotary embedding
};

struct FeedForward {
  FeedForwardSpec spec;
  Linear gate, up, fused, down;
};

struct Layer {
  size_t index = 0;
  OptionalNorm attention_norm, post_attention_norm, feed_forward_norm, post_feed_forward_norm;
  Attention attention;
  FeedForward feed_forward;
};

// Queries, keys and values of a layer.
struct Heads {
  Tensor q_THK, k_TGK, v_TGK;
};

// A rotary embedding that layers share.
struct Rotary {
  Tensor frequencies_J;
  double scale = 1;  // of cosines and sines
};

// Its turns at the tokens' positions.
struct Angles {
  Tensor cos_T1K, sin_T1K;
};

// What every layer of one forward shares.
struct Shared {
  std::vector<Angles> angles;                          // of each of the model's rotary embeddings
  std::shared_ptr<const ops::AttentionLayout> layout;  // a copy: recomputation needs it after the forward
  KvCache* cache = nullptr;                            // instead of a layout
  PackedKeyValues* kept_kv = nullptr;
};

// Parameters by name, for the parts of a model that are made of them: those of `adapter` (null: none) in
// place of the base's, or beside them.
class ParameterTable {
 public:
  ParameterTable(const ModelSpec& spec, const NamedTensors& parameters, const Adapter* adapter)
      : spec_(spec), by_name_(parameters.begin(), parameters.end()), adapter_(adapter) {}

  const Tensor& at(const std::string& name) const { return by_name_.at(name); }
  const Tensor& operator[](const std::string& name) const {
    const auto trained = by_name_.find(kAdapterPrefix + name);
    return trained != by_name_.end() ? trained->second : at(name);
  }
  Norm operator[](const NormSpec& norm) const {
    return {spec_.norm_kind, spec_.norm_eps, norm.name.empty() ? Tensor() : (*this)[norm.name + ".weight"],
            norm.bias ? (*this)[norm.name + ".bias"] : Tensor()};
  }
  OptionalNorm operator[](const std::optional<NormSpec>& norm) const {
    return norm ? OptionalNorm((*this)[*norm]) : std::nullopt;
  }
  Linear operator[](const LinearSpec& linear) const {
    if (linear.name.empty()) return {};
    Linear result{.weight = (*this)[linear.name + ".weight"],
                  .bias = linear.bias ? (*this)[linear.name + ".bias"] : Tensor(),
                  .transposed = linear.transposed,
                  .low_rank = {},
                  .magnitude = {}};
    const AdaptedLinear* adapted = adapter_ ? adapter_->spec.find(linear.name) : nullptr;
    if (!adapted) return result;
    result.low_rank = {at(adapted->a_name()), at(adapted->b_name()), adapted->scale};
    if (adapter_->spec.dora)
      result.magnitude = {at(adapted->magnitude_name()), row_norms(result.weight_ED())};
    return result;
  }

 private:
  const ModelSpec& spec_;
  std::unordered_map<std::string, Tensor> by_name_;
  const Adapter* adapter_;
};

Tensor make_parameter(const Tensor& tensor, const BuildOptions& options, at::ScalarType dtype,
                      bool trainable) {
  return tensor.detach()
      .to(at::TensorOptions(options.device).dtype(dtype), /*non_blocking=*/false, /*copy=*/trainable)
      .contiguous()
      .set_requires_grad(trainable);
}

// DoRA's magnitudes scale a product of any size: they are as precise as the norms that they are divided by.
at::ScalarType adapter_type(const std::string& name, at::ScalarType dtype) {
  return name.ends_with(".lora_magnitude_vector") && dtype != at::kDouble ? at::kFloat : dtype;
}

NamedTensors make_parameters(const ModelSpec& spec, const NamedTensors& tensors,
                             const BuildOptions& options) {
  NamedTensors parameters;
  const bool is_base = options.adapter != nullptr;
  for (const auto& [name, tensor] : match_parameters(spec, tensors, "model", ErrorKind::kModel))
    parameters.emplace_back(name,
                            make_parameter(tensor, options, options.dtype, options.trainable && !is_base));
  if (!is_base) return parameters;
  for (const auto& [name, tensor] : options.adapter->tensors) {
    parameters.emplace_back(
        name, make_parameter(tensor, options, adapter_type(name, options.dtype), options.trainable));
  }
  return parameters;
}

Tensor scaled(const Tensor& x, double scale) { return scale == 1 ? x : x * scale; }

Tensor normed(const OptionalNorm& norm, const Tensor& x) { return norm ? (*norm)(x) : x; }

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

// The tensor of the head: of its own, one that an adapter has in its place, or the base's embedding.
std::string name_of_head(const ModelSpec& spec, const Adapter* adapter) {
  if (adapter && adapter->spec.saves(spec.head_name)) return kAdapterPrefix + spec.head_name;
  return spec.tie_word_embeddings ? spec.embedding_name : spec.head_name;
}

class Decoder : public CausalLm {
 public:
  Decoder(const ModelSpec& spec, const NamedTensors& tensors, const BuildOptions& options)
      : spec_(spec),
        checkpointing_(options.gradient_checkpointing),
        parameters_(make_parameters(spec, tensors, options)),
        head_name_(name_of_head(spec, options.adapter)) {
    const ParameterTable table(spec_, parameters_, options.adapter);
    embedding_VD_ = table[spec.embedding_name];
    if (spec.positions) positions_PD_ = table[spec.positions->name];
    final_norm_ = table[spec.final_norm];
    head_VD_ = table.at(head_name_);
    if (!spec.head_bias_name.empty()) head_bias_V_ = table[spec.head_bias_name];
    for (const LayerSpec& layer : spec.layers) add_layer(layer, table);
  }

  Tensor hidden(const ModelInput& input) const override {
    DDRO_CHECK((input.layout != nullptr) != (input.cache != nullptr) && input.ids_T.dim() == 1 &&
                   input.ids_T.sizes() == input.positions_T.sizes(),
               "a model input needs ids, as many positions, and a layout or a cache");
    DDRO_CHECK(!at::GradMode::is_enabled() || (input.cache == nullptr && input.kept_kv == nullptr),
               "a cache is used without gradients");
    if (input.cache != nullptr) input.cache->advance();
    const Shared shared = share(input);
    Tensor x_TD = embed(input);
    for (const Layer& layer : layers_) {
      if (checkpointing_ && x_TD.requires_grad()) {
        x_TD =
            recompute([this, &layer, shared](const Tensor& x) { return run_layer(layer, x, shared); }, x_TD);
      } else {
        x_TD = run_layer(layer, x_TD, shared);
      }
    }
    return scaled(final_norm_(x_TD.index_select(0, input.output_positions_C)), spec_.logit_scale);
  }

  const NamedTensors& parameters() const override { return parameters_; }
  Tensor head_weight() const override { return head_VD_; }
  const std::string& head_weight_name() const override { return head_name_; }
  Tensor head_bias() const override { return head_bias_V_; }
  const ModelSpec& spec() const override { return spec_; }

 private:
  void add_layer(const LayerSpec& layer, const ParameterTable& table) {
    const AttentionSpec& attention = layer.attention;
    const FeedForwardSpec& feed_forward = layer.feed_forward;
    layers_.push_back({.index = layers_.size(),
                       .attention_norm = table[layer.attention_norm],
                       .post_attention_norm = table[layer.post_attention_norm],
                       .feed_forward_norm = table[layer.feed_forward_norm],
                       .post_feed_forward_norm = table[layer.post_feed_forward_norm],
                       .attention = {.spec = attention,
                                     .q = table[attention.query],
                                     .k = table[attention.key],
                                     .v = table[attention.value],
                                     .fused = table[attention.fused],
                                     .o = table[attention.output],
                                     .q_norm = table[attention.query_norm],
                                     .k_norm = table[attention.key_norm],
                                     .scale = attention.scale.value_or(
                                         1 / std::sqrt(static_cast<double>(attention.head_dim))),
                                     .angles = find_angles(attention.rotary)},
                       .feed_forward = {.spec = feed_forward,
                                        .gate = table[feed_forward.gate],
                                        .up = table[feed_forward.up],
                                        .fused = table[feed_forward.fused],
                                        .down = table[feed_forward.down]}});
  }

  // Layers of equal rotary embeddings share their angles.
  size_t find_angles(const RotarySpec& rotary) {
    if (rotary.width == 0) return 0;
    for (const Layer& layer : layers_) {
      if (layer.attention.spec.rotary == rotary) return layer.attention.angles;
    }
    const auto type = embedding_VD_.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    rotaries_.push_back(
        {inverse_frequencies(rotary, type).to(embedding_VD_.device()), rotary.scaling.attention_factor});
    return rotaries_.size() - 1;
  }

  Angles angles_at(const Tensor& positions_T, const Rotary& rotary) const {
    const Tensor& frequencies_J = rotary.frequencies_J;
    const Tensor angles_T1J =
        (positions_T.to(frequencies_J.scalar_type()).unsqueeze(-1) * frequencies_J).unsqueeze(1);
    const Tensor angles_T1K = at::cat({angles_T1J, angles_T1J}, -1);
    const auto dtype = embedding_VD_.scalar_type();
    return {scaled(angles_T1K.cos(), rotary.scale).to(dtype),
            scaled(angles_T1K.sin(), rotary.scale).to(dtype)};
  }

  Shared share(const ModelInput& input) const {
    Shared shared;
    for (const Rotary& rotary : rotaries_) shared.angles.push_back(angles_at(input.positions_T, rotary));
    if (input.layout) shared.layout = std::make_shared<const ops::AttentionLayout>(*input.layout);
    shared.cache = input.cache;
    shared.kept_kv = input.kept_kv;
    return shared;
  }

  Tensor embed(const ModelInput& input) const {
    Tensor x_TD = ops::embedding(embedding_VD_, input.ids_T);
    if (spec_.embedding_scale != 1)
      x_TD = x_TD * at::scalar_tensor(spec_.embedding_scale, at::TensorOptions(x_TD.scalar_type()));
    if (spec_.positions)
      x_TD = x_TD + ops::embedding(positions_PD_, input.positions_T + spec_.positions->offset);
    return x_TD;
  }

  Tensor run_layer(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    if (spec_.parallel_residual) return run_parallel(layer, x_TD, shared);
    const Tensor y_TD =
        x_TD + added(layer.post_attention_norm, attend(layer, normed(layer.attention_norm, x_TD), shared));
    return y_TD + added(layer.post_feed_forward_norm,
                        feed_forward(layer.feed_forward, normed(layer.feed_forward_norm, y_TD)));
  }

  Tensor run_parallel(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const Tensor normed_TD = normed(layer.attention_norm, x_TD);
    const Tensor attended_TD = added(layer.post_attention_norm, attend(layer, normed_TD, shared));
    const Tensor input_TD = layer.feed_forward_norm ? normed(layer.feed_forward_norm, x_TD) : normed_TD;
    return x_TD + attended_TD +
           added(layer.post_feed_forward_norm, feed_forward(layer.feed_forward, input_TD));
  }

  // What a part of a layer adds to its input.
  Tensor added(const OptionalNorm& norm, const Tensor& result_TD) const {
    return scaled(normed(norm, result_TD), spec_.residual_scale);
  }

  // silu has a fast form that keeps less; the others are composed.
  Tensor feed_forward(const FeedForward& part, const Tensor& x_TD) const {
    const FeedForwardSpec& spec = part.spec;
    if (!spec.gated()) return part.down(activate(spec.activation, part.up(x_TD)));
    const auto [gate_TF, up_TF] = gate_and_up(part, x_TD);
    if (spec.activation == Activation::kSilu && !part.down.transposed)
      return part.down.of_swiglu(gate_TF, up_TF);
    return part.down(activate(spec.activation, gate_TF) * up_TF);
  }

  std::pair<Tensor, Tensor> gate_and_up(const FeedForward& part, const Tensor& x_TD) const {
    if (!part.fused.weight.defined()) return {part.gate(x_TD), part.up(x_TD)};
    const auto halves_TF = part.fused(x_TD).chunk(2, 1);
    return {halves_TF[0], halves_TF[1]};
  }

  Heads project(const Attention& part, const Tensor& x_TD) const {
    const AttentionSpec& spec = part.spec;
    const std::int64_t tokens = x_TD.size(0);
    if (!part.fused.weight.defined()) {
      return {part.q(x_TD).view({tokens, spec.num_heads, spec.head_dim}),
              part.k(x_TD).view({tokens, spec.num_key_value_heads, spec.head_dim}),
              part.v(x_TD).view({tokens, spec.num_key_value_heads, spec.head_dim})};
    }
    const std::int64_t queries = spec.num_heads / spec.fused_groups;
    const std::int64_t keys = spec.num_key_value_heads / spec.fused_groups;
    const auto parts = part.fused(x_TD)
                           .view({tokens, spec.fused_groups, -1, spec.head_dim})
                           .split_with_sizes({queries, keys, keys}, 2);
    const auto heads = [&](size_t i) { return parts[i].reshape({tokens, -1, spec.head_dim}); };
    return {heads(0), heads(1), heads(2)};
  }

  Heads heads_of(const Attention& part, const Tensor& x_TD, const Shared& shared) const {
    Heads heads = project(part, x_TD);
    if (part.spec.clip) {
      for (Tensor* x : {&heads.q_THK, &heads.k_TGK, &heads.v_TGK})
        *x = x->clamp(-*part.spec.clip, *part.spec.clip);
    }
    heads.q_THK = normed_heads(part.q_norm, part.spec.query_norm, heads.q_THK);
    heads.k_TGK = normed_heads(part.k_norm, part.spec.key_norm, heads.k_TGK);
    if (part.spec.rotary.width > 0) {
      const Angles& angles = shared.angles[part.angles];
      heads.q_THK = turned(part.spec.rotary, heads.q_THK, angles);
      heads.k_TGK = turned(part.spec.rotary, heads.k_TGK, angles);
    }
    return heads;
  }

  Tensor attend(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const Attention& part = layer.attention;
    const auto [q_THK, k_TGK, v_TGK] = heads_of(part, x_TD, shared);
    const std::int64_t window = part.spec.window.value_or(ops::kNoWindow);
    const double softcap = part.spec.softcap.value_or(0);
    if (shared.kept_kv != nullptr) {
      shared.kept_kv->k_TGK.push_back(k_TGK);
      shared.kept_kv->v_TGK.push_back(v_TGK);
    }
    const Tensor out_THK =
        shared.cache
            ? shared.cache->attend(layer.index, q_THK, k_TGK, v_TGK, part.scale, window, softcap)
            : ops::varlen_attention(q_THK, k_TGK, v_TGK, *shared.layout, part.scale, window, softcap);
    return part.o(out_THK.reshape({x_TD.size(0), -1}));
  }

  ModelSpec spec_;
  bool checkpointing_;
  NamedTensors parameters_;
  std::string head_name_;
  Tensor embedding_VD_, positions_PD_, head_VD_, head_bias_V_;
  Norm final_norm_;
  std::vector<Layer> layers_;
  std::vector<Rotary> rotaries_;
};

}  // namespace

Tensor logits(const CausalLm& model, const Tensor& hidden_CD) {
  const Tensor bias_V = model.head_bias();
  const Tensor plain_CV = at::linear(hidden_CD, model.head_weight(),
                                     bias_V.defined() ? std::optional<Tensor>(bias_V) : std::nullopt);
  const auto& softcap = model.spec().logit_softcap;
  return softcap ? at::tanh(plain_CV / *softcap) * *softcap : plain_CV;
}

std::unique_ptr<CausalLm> make_causal_lm(const ModelSpec& spec, const NamedTensors& tensors,
                                         const BuildOptions& options) {
  ops::require_repeatable(options.device);
  return std::make_unique<Decoder>(spec, tensors, options);
}

}  // namespace ddro::models
