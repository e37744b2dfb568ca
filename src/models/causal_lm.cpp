// The decoder that runs every family. Legend: T packed tokens, C positions asked for, D width, F feed-forward
// width, H query heads, G key/value heads, K head width, J = K / 2.
#include "ddro/models/causal_lm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numbers>
#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/ops/linear.h"
#include "ddro/ops/repeatable.h"
#include "ddro/ops/rms_norm.h"
#include "ddro/ops/rotary.h"
#include "models/parameters.h"
#include "models/recompute.h"

namespace ddro::models {
namespace {

struct Linear {
  Tensor weight;
  Tensor bias;  // undefined without one

  Tensor operator()(const Tensor& x) const { return ops::linear(x, weight, bias); }
};

struct Attention {
  AttentionSpec spec;
  Linear q, k, v, o;
  Tensor q_norm, k_norm;  // undefined without q/k norms
  size_t rotary = 0;      // of the model's
};

struct FeedForward {
  Linear gate, up, down;
};

struct Layer {
  size_t index = 0;
  Tensor attention_norm, feed_forward_norm;
  Attention attention;
  FeedForward feed_forward;
};

// Turns of one rotary embedding at the tokens' positions.
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

// theta^(-2j/K), scaled; in the dtype in which Hugging Face computes it (float32), or float64 throughout.
Tensor inverse_frequencies(const RotarySpec& rotary, std::int64_t head_dim, at::ScalarType dtype) {
  const Tensor exponents_J = at::arange(0, head_dim, 2, at::TensorOptions(dtype)).div_(head_dim);
  const Tensor plain_J = at::pow(rotary.theta, exponents_J).reciprocal_();
  const RopeScaling& scaling = rotary.scaling;
  switch (scaling.type) {
    case RopeScaling::Type::kDefault:
      return plain_J;
    case RopeScaling::Type::kLinear:
      return plain_J / scaling.factor;
    case RopeScaling::Type::kLlama3:
      break;
  }
  // Turns of the original context below low_freq_factor are slowed down, above high_freq_factor kept, between
  // blended.
  const Tensor turns_J = scaling.original_max_position_embeddings / (2 * std::numbers::pi / plain_J);
  const Tensor share_J =
      ((turns_J - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor))
          .clamp_(0, 1);
  return (1 - share_J) * plain_J / scaling.factor + share_J * plain_J;
}

// Parameters by name, for the parts of a model that are made of them.
class ParameterTable {
 public:
  explicit ParameterTable(const NamedTensors& parameters) : by_name_(parameters.begin(), parameters.end()) {}

  const Tensor& operator[](const std::string& name) const { return by_name_.at(name); }
  const Tensor& operator[](const NormSpec& norm) const { return (*this)[norm.name + ".weight"]; }
  Tensor operator[](const std::optional<NormSpec>& norm) const { return norm ? (*this)[*norm] : Tensor(); }
  Linear operator[](const LinearSpec& linear) const {
    return {(*this)[linear.name + ".weight"], linear.bias ? (*this)[linear.name + ".bias"] : Tensor()};
  }

 private:
  std::unordered_map<std::string, Tensor> by_name_;
};

NamedTensors make_parameters(const ModelSpec& spec, const NamedTensors& tensors,
                             const BuildOptions& options) {
  NamedTensors parameters;
  for (const auto& [name, tensor] : match_parameters(spec, tensors, "model", ErrorKind::kModel)) {
    const Tensor parameter = tensor.detach().to(at::TensorOptions(options.device).dtype(options.dtype),
                                                /*non_blocking=*/false, /*copy=*/options.trainable);
    parameters.emplace_back(name, parameter.contiguous().set_requires_grad(options.trainable));
  }
  return parameters;
}

class Decoder : public CausalLm {
 public:
  Decoder(const ModelSpec& spec, const NamedTensors& tensors, const BuildOptions& options)
      : spec_(spec),
        checkpointing_(options.gradient_checkpointing),
        parameters_(make_parameters(spec, tensors, options)),
        head_name_(spec.tie_word_embeddings ? spec.embedding_name : spec.head_name) {
    const ParameterTable table(parameters_);
    embedding_VD_ = table[spec.embedding_name];
    final_norm_D_ = table[spec.final_norm];
    head_VD_ = table[head_name_];
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
    Tensor x_TD = ops::embedding(embedding_VD_, input.ids_T);
    for (const Layer& layer : layers_) {
      if (checkpointing_ && x_TD.requires_grad()) {
        x_TD =
            recompute([this, &layer, shared](const Tensor& x) { return run_layer(layer, x, shared); }, x_TD);
      } else {
        x_TD = run_layer(layer, x_TD, shared);
      }
    }
    return norm(x_TD.index_select(0, input.output_positions_C), final_norm_D_);
  }

  const NamedTensors& parameters() const override { return parameters_; }
  Tensor head_weight() const override { return head_VD_; }
  const std::string& head_weight_name() const override { return head_name_; }
  const ModelSpec& spec() const override { return spec_; }

 private:
  void add_layer(const LayerSpec& layer, const ParameterTable& table) {
    const AttentionSpec& attention = layer.attention;
    layers_.push_back({.index = layers_.size(),
                       .attention_norm = table[layer.attention_norm],
                       .feed_forward_norm = table[layer.feed_forward_norm],
                       .attention = {.spec = attention,
                                     .q = table[attention.query],
                                     .k = table[attention.key],
                                     .v = table[attention.value],
                                     .o = table[attention.output],
                                     .q_norm = table[attention.query_norm],
                                     .k_norm = table[attention.key_norm],
                                     .rotary = find_rotary(attention)},
                       .feed_forward = {.gate = table[layer.feed_forward.gate],
                                        .up = table[layer.feed_forward.up],
                                        .down = table[layer.feed_forward.down]}});
  }

  // Layers of equal rotary embeddings share their angles.
  size_t find_rotary(const AttentionSpec& attention) {
    const auto type = embedding_VD_.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    for (const Layer& layer : layers_) {
      const AttentionSpec& other = layer.attention.spec;
      if (other.rotary == attention.rotary && other.head_dim == attention.head_dim)
        return layer.attention.rotary;
    }
    frequencies_J_.push_back(
        inverse_frequencies(attention.rotary, attention.head_dim, type).to(embedding_VD_.device()));
    return frequencies_J_.size() - 1;
  }

  Angles angles_at(const Tensor& positions_T, const Tensor& frequencies_J) const {
    const Tensor angles_T1J =
        (positions_T.to(frequencies_J.scalar_type()).unsqueeze(-1) * frequencies_J).unsqueeze(1);
    const Tensor angles_T1K = at::cat({angles_T1J, angles_T1J}, -1);
    const auto dtype = embedding_VD_.scalar_type();
    return {angles_T1K.cos().to(dtype), angles_T1K.sin().to(dtype)};
  }

  Shared share(const ModelInput& input) const {
    Shared shared;
    for (const Tensor& frequencies_J : frequencies_J_)
      shared.angles.push_back(angles_at(input.positions_T, frequencies_J));
    if (input.layout) shared.layout = std::make_shared<const ops::AttentionLayout>(*input.layout);
    shared.cache = input.cache;
    shared.kept_kv = input.kept_kv;
    return shared;
  }

  Tensor norm(const Tensor& x, const Tensor& weight) const {
    return ops::rms_norm(x, weight, spec_.norm_eps);
  }

  Tensor run_layer(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const Tensor y_TD = x_TD + attend(layer, norm(x_TD, layer.attention_norm), shared);
    return y_TD + feed_forward(layer.feed_forward, norm(y_TD, layer.feed_forward_norm));
  }

  Tensor feed_forward(const FeedForward& part, const Tensor& x_TD) const {
    return ops::swiglu_linear(part.gate(x_TD), part.up(x_TD), part.down.weight, part.down.bias);
  }

  Tensor attend(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const Attention& part = layer.attention;
    const AttentionSpec& spec = part.spec;
    const std::int64_t tokens = x_TD.size(0);
    Tensor q_THK = part.q(x_TD).view({tokens, spec.num_heads, spec.head_dim});
    Tensor k_TGK = part.k(x_TD).view({tokens, spec.num_key_value_heads, spec.head_dim});
    const Tensor v_TGK = part.v(x_TD).view({tokens, spec.num_key_value_heads, spec.head_dim});
    if (part.q_norm.defined()) q_THK = norm(q_THK, part.q_norm);
    if (part.k_norm.defined()) k_TGK = norm(k_TGK, part.k_norm);
    const Angles& angles = shared.angles[part.rotary];
    q_THK = ops::rotary(q_THK, angles.cos_T1K, angles.sin_T1K);
    k_TGK = ops::rotary(k_TGK, angles.cos_T1K, angles.sin_T1K);
    const double scale = 1 / std::sqrt(static_cast<double>(spec.head_dim));
    const std::int64_t window = spec.window.value_or(ops::kNoWindow);
    if (shared.kept_kv != nullptr) {
      shared.kept_kv->k_TGK.push_back(k_TGK);
      shared.kept_kv->v_TGK.push_back(v_TGK);
    }
    const Tensor out_THK = shared.cache
                               ? shared.cache->attend(layer.index, q_THK, k_TGK, v_TGK, scale, window)
                               : ops::varlen_attention(q_THK, k_TGK, v_TGK, *shared.layout, scale, window);
    return part.o(out_THK.view({tokens, -1}));
  }

  ModelSpec spec_;
  bool checkpointing_;
  NamedTensors parameters_;
  std::string head_name_;
  Tensor embedding_VD_, final_norm_D_, head_VD_;
  std::vector<Layer> layers_;
  std::vector<Tensor> frequencies_J_;  // of each rotary embedding
};

}  // namespace

std::unique_ptr<CausalLm> make_causal_lm(const ModelSpec& spec, const NamedTensors& tensors,
                                         const BuildOptions& options) {
  ops::require_repeatable(options.device);
  return std::make_unique<Decoder>(spec, tensors, options);
}

}  // namespace ddro::models
