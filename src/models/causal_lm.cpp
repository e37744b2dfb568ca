// Llama and its relatives. Legend: T packed tokens, C positions asked for, D width, F feed-forward width, H
// query heads, G key/value heads, K head width, J = K / 2.
#include "ddro/models/causal_lm.h"

#include <torch/torch.h>

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

struct Layer {
  size_t index = 0;
  Tensor input_norm, post_attention_norm;
  Tensor q_norm, k_norm;  // undefined without q/k norms
  Linear q, k, v, o, gate, up, down;
  std::int64_t window = ops::kNoWindow;
};

// What every layer of one forward shares.
struct Shared {
  Tensor cos_T1K, sin_T1K;
  std::shared_ptr<const ops::AttentionLayout> layout;  // a copy: recomputation needs it after the forward
  KvCache* cache = nullptr;                            // instead of a layout
  PackedKeyValues* kept_kv = nullptr;
};

// theta^(-2j/K), scaled; in the dtype in which Hugging Face computes it (float32), or float64 throughout.
Tensor inverse_frequencies(const ModelConfig& config, at::ScalarType dtype) {
  const Tensor exponents_J =
      at::arange(0, config.head_dim, 2, at::TensorOptions(dtype)).div_(config.head_dim);
  const Tensor plain_J = at::pow(config.rope_theta, exponents_J).reciprocal_();
  const RopeScaling& scaling = config.rope_scaling;
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

class Llama : public CausalLm {
 public:
  Llama(const ModelConfig& config, const NamedTensors& tensors, const BuildOptions& options)
      : config_(config), checkpointing_(options.gradient_checkpointing) {
    const NamedTensors matched = match_parameters(config, tensors, "model", ErrorKind::kModel);
    for (const auto& [name, tensor] : matched) {
      Tensor parameter = tensor.detach().to(at::TensorOptions(options.device).dtype(options.dtype),
                                            /*non_blocking=*/false, /*copy=*/options.trainable);
      parameters_.emplace_back(name, parameter.contiguous().set_requires_grad(options.trainable));
    }
    std::unordered_map<std::string, Tensor> by_name(parameters_.begin(), parameters_.end());
    const auto take = [&](const std::string& name) {
      const auto found = by_name.find(name);
      return found == by_name.end() ? Tensor() : found->second;
    };
    const auto linear = [&](const std::string& name) {
      return Linear{take(name + ".weight"), take(name + ".bias")};
    };
    embedding_VD_ = take(kEmbeddingName);
    final_norm_D_ = take("model.norm.weight");
    head_name_ = config.tie_word_embeddings ? kEmbeddingName : kHeadName;
    head_VD_ = take(head_name_);
    for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
      const std::string prefix = "model.layers." + std::to_string(i) + ".";
      Layer layer;
      layer.index = static_cast<size_t>(i);
      layer.input_norm = take(prefix + "input_layernorm.weight");
      layer.post_attention_norm = take(prefix + "post_attention_layernorm.weight");
      layer.q_norm = take(prefix + "self_attn.q_norm.weight");
      layer.k_norm = take(prefix + "self_attn.k_norm.weight");
      layer.q = linear(prefix + "self_attn.q_proj");
      layer.k = linear(prefix + "self_attn.k_proj");
      layer.v = linear(prefix + "self_attn.v_proj");
      layer.o = linear(prefix + "self_attn.o_proj");
      layer.gate = linear(prefix + "mlp.gate_proj");
      layer.up = linear(prefix + "mlp.up_proj");
      layer.down = linear(prefix + "mlp.down_proj");
      if (config.sliding_window && i >= config.window_from_layer) layer.window = *config.sliding_window;
      layers_.push_back(std::move(layer));
    }
    const at::ScalarType angle_dtype = options.dtype == at::kDouble ? at::kDouble : at::kFloat;
    inverse_frequencies_J_ = inverse_frequencies(config, angle_dtype).to(options.device);
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
    return ops::rms_norm(x_TD.index_select(0, input.output_positions_C), final_norm_D_, config_.rms_norm_eps);
  }

  const NamedTensors& parameters() const override { return parameters_; }
  Tensor head_weight() const override { return head_VD_; }
  const std::string& head_weight_name() const override { return head_name_; }
  const ModelConfig& config() const override { return config_; }

 private:
  Shared share(const ModelInput& input) const {
    const Tensor angles_T1J =
        (input.positions_T.to(inverse_frequencies_J_.scalar_type()).unsqueeze(-1) * inverse_frequencies_J_)
            .unsqueeze(1);
    const Tensor angles_T1K = at::cat({angles_T1J, angles_T1J}, -1);
    const auto dtype = embedding_VD_.scalar_type();
    return {angles_T1K.cos().to(dtype), angles_T1K.sin().to(dtype),
            input.layout ? std::make_shared<const ops::AttentionLayout>(*input.layout) : nullptr, input.cache,
            input.kept_kv};
  }

  Tensor run_layer(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const Tensor y_TD =
        x_TD + attention(layer, ops::rms_norm(x_TD, layer.input_norm, config_.rms_norm_eps), shared);
    const Tensor z_TD = ops::rms_norm(y_TD, layer.post_attention_norm, config_.rms_norm_eps);
    return y_TD + ops::swiglu_linear(layer.gate(z_TD), layer.up(z_TD), layer.down.weight, layer.down.bias);
  }

  Tensor attention(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const std::int64_t tokens = x_TD.size(0);
    Tensor q_THK = layer.q(x_TD).view({tokens, config_.num_attention_heads, config_.head_dim});
    Tensor k_TGK = layer.k(x_TD).view({tokens, config_.num_key_value_heads, config_.head_dim});
    const Tensor v_TGK = layer.v(x_TD).view({tokens, config_.num_key_value_heads, config_.head_dim});
    if (layer.q_norm.defined()) {
      q_THK = ops::rms_norm(q_THK, layer.q_norm, config_.rms_norm_eps);
      k_TGK = ops::rms_norm(k_TGK, layer.k_norm, config_.rms_norm_eps);
    }
    q_THK = ops::rotary(q_THK, shared.cos_T1K, shared.sin_T1K);
    k_TGK = ops::rotary(k_TGK, shared.cos_T1K, shared.sin_T1K);
    const double scale = 1 / std::sqrt(static_cast<double>(config_.head_dim));
    if (shared.kept_kv != nullptr) {
      shared.kept_kv->k_TGK.push_back(k_TGK);
      shared.kept_kv->v_TGK.push_back(v_TGK);
    }
    const Tensor out_THK =
        shared.cache ? shared.cache->attend(layer.index, q_THK, k_TGK, v_TGK, scale, layer.window)
                     : ops::varlen_attention(q_THK, k_TGK, v_TGK, *shared.layout, scale, layer.window);
    return layer.o(out_THK.view({tokens, -1}));
  }

  ModelConfig config_;
  bool checkpointing_;
  NamedTensors parameters_;
  Tensor embedding_VD_, final_norm_D_, head_VD_, inverse_frequencies_J_;
  std::string head_name_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<CausalLm> make_causal_lm(const ModelConfig& config, const NamedTensors& tensors,
                                         const BuildOptions& options) {
  ops::require_repeatable(options.device);
  return std::make_unique<Llama>(config, tensors, options);
}

}  // namespace ddro::models
