// The decoder that runs every family. Legend: T packed tokens, C positions asked for, D width, K head width,
// J frequencies, P learned positions.
#include "ddro/models/causal_lm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <set>

#include "ddro/base/error.h"
#include "ddro/base/interruption.h"
#include "ddro/models/packed_base.h"
#include "ddro/models/weight_units.h"
#include "ddro/ops/device_settings.h"
#include "ddro/ops/linear.h"
#include "ddro/ops/packed.h"
#include "ddro/ops/product.h"
#include "models/attention.h"
#include "models/experts.h"
#include "models/feed_forward.h"
#include "models/parameter_table.h"
#include "models/parameters.h"
#include "models/recompute.h"
#include "models/weight_unit.h"

namespace ddro::models {
namespace {

struct Layer {
  OptionalNorm input_norm, attention_norm, post_attention_norm, feed_forward_norm, post_feed_forward_norm;
  Attention attention;
  FeedForward feed_forward;
  std::optional<Experts> experts;  // in its place
};

// A rotary embedding that layers share.
struct Rotary {
  RotarySpec spec;
  Tensor frequencies_J;
};

Tensor make_parameter(const Tensor& tensor, const BuildOptions& options, at::ScalarType dtype,
                      bool trainable) {
  return tensor.detach()
      .to(at::TensorOptions(options.device).dtype(dtype), /*non_blocking=*/false,
          /*copy=*/trainable || options.store)
      .contiguous()
      .set_requires_grad(trainable);
}

// DoRA's magnitudes scale a product of any size: they are as precise as the norms that they are divided by.
at::ScalarType adapter_type(const std::string& name, at::ScalarType dtype) {
  return name.ends_with(".lora_magnitude_vector") && dtype != at::kDouble ? at::kFloat : dtype;
}

// With a store no more than one is whole at a time, but an adapter's, which it does not have.
NamedTensors make_parameters(const ModelSpec& spec, const NamedTensors& tensors,
                             const BuildOptions& options) {
  NamedTensors parameters;
  const bool is_base = options.adapter != nullptr;
  const std::set<std::string> packable = names_of_packable(spec, options);
  const auto unit_of = unit_of_each(spec);
  for (const auto& [name, tensor] :
       match_parameters(spec, tensors, "model", ErrorKind::kModel, /*may_be_packed=*/true)) {
    leave_if_interrupted();
    if (packable.contains(name) && stays_stored(tensor, options)) {
      parameters.emplace_back(name, tensor.to(options.device).contiguous());
      continue;
    }
    const Tensor numbers = ops::is_packed(tensor) ? ops::numbers_of(tensor, options.dtype) : tensor;
    parameters.emplace_back(name,
                            make_parameter(numbers, options, options.dtype, options.trainable && !is_base));
    if (options.store) options.store->take(unit_of.at(name), name, parameters.back().second);
  }
  if (!is_base) return parameters;
  for (const auto& [name, tensor] : options.adapter->tensors) {
    parameters.emplace_back(
        name, make_parameter(tensor, options, adapter_type(name, options.dtype), options.trainable));
  }
  return parameters;
}

Tensor scaled(const Tensor& x, double scale) { return scale == 1 ? x : x * scale; }

// The tensor of the head: of its own, one that an adapter has in its place, or the base's embedding.
std::string name_of_head(const ModelSpec& spec, const Adapter* adapter) {
  if (adapter && adapter->spec.saves(spec.head_name)) return kAdapterPrefix + spec.head_name;
  return spec.tie_word_embeddings ? spec.embedding_name : spec.head_name;
}

class Decoder : public CausalLm {
 public:
  Decoder(const ModelSpec& spec, const NamedTensors& tensors, const BuildOptions& options)
      : spec_(spec),
        dtype_(options.dtype),
        checkpointing_(options.gradient_checkpointing),
        store_(options.store),
        parameters_(make_parameters(spec, tensors, options)),
        head_name_(name_of_head(spec, options.adapter)) {
    const ParameterTable table(spec_, parameters_, options.adapter);
    embedding_VD_ = table[spec.embedding_name];
    if (spec.positions) positions_PD_ = table[spec.positions->name];
    final_norm_ = table[spec.final_norm];
    head_VD_ = table.at(head_name_);
    if (!spec.head_bias_name.empty()) head_bias_V_ = table[spec.head_bias_name];
    for (const LayerSpec& layer : spec.layers) {
      const WeightUnit unit = layer_unit(layers_.size());
      const bool reads_weights = options.adapter != nullptr && options.adapter->spec.dora;  // for their norms
      if (reads_weights) unit.gather();
      add_layer(layer, table);
      if (reads_weights) unit.release();
    }
  }

  Tensor hidden(const ModelInput& input) const override {
    DDRO_CHECK((input.layout != nullptr) != (input.cache != nullptr) && input.ids_T.dim() == 1 &&
                   input.ids_T.sizes() == input.positions_T.sizes(),
               "a model input needs ids, as many positions, and a layout or a cache");
    DDRO_CHECK(!at::GradMode::is_enabled() || (input.cache == nullptr && input.kept_kv == nullptr),
               "a cache is used without gradients");
    if (input.cache != nullptr) input.cache->advance();
    const Shared shared = share(input);
    begin_forward();
    Tensor x_TD = run_embedding(input);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const auto block = [this, i, shared](const Tensor& x) { return run_layer(layers_[i], x, shared); };
      x_TD = told(x_TD, input, 1 + i);
      x_TD = checkpointing_ && x_TD.requires_grad() ? recompute(block, x_TD, layer_unit(i))
                                                    : run_unit(layer_unit(i), block, x_TD);
    }
    const Tensor x_CD = x_TD.index_select(0, input.output_positions_C);
    return run_final_norm(is_tied() ? x_CD : told(x_CD, input, 1 + layers_.size()));
  }

  const NamedTensors& parameters() const override { return parameters_; }
  Tensor head_weight() const override { return head_VD_; }
  const std::string& head_weight_name() const override { return head_name_; }
  Tensor head_bias() const override { return head_bias_V_; }
  const ModelSpec& spec() const override { return spec_; }

  WeightStore* weight_store() const override { return store_.get(); }
  void end_forward() const override { head_unit().release(); }
  void end_backward() const override { embedding_unit().end_backward(); }

  // The order of hidden(), and of the backward through it.
  void take_part(bool with_backward) const override {
    begin_forward();
    embedding_unit().gather();
    if (!is_tied()) embedding_unit().release();
    for (size_t i = 0; i < layers_.size(); ++i) {
      layer_unit(i).gather();
      layer_unit(i).release();
    }
    head_unit().gather();
    if (!with_backward) return end_forward();
    head_unit().begin_gradients();
    leave_head();
    for (size_t i = layers_.size(); i-- > 0;) {
      layer_unit(i).begin_backward();
      layer_unit(i).end_backward();
    }
    if (!is_tied()) embedding_unit().begin_gradients();
    end_backward();
  }

 private:
  bool is_tied() const { return spec_.tie_word_embeddings; }
  WeightUnit embedding_unit() const { return {store_.get(), 0}; }
  WeightUnit layer_unit(size_t layer) const { return {store_.get(), 1 + layer}; }
  WeightUnit head_unit() const { return {store_.get(), is_tied() ? 0 : 1 + layers_.size()}; }

  void begin_forward() const {
    if (!store_) return;
    store_->begin_forward();
    head_unit().release();
  }

  // x, from which `unit` is computed.
  static Tensor told(const Tensor& x, const ModelInput& input, size_t unit) {
    if (!input.on_complete || !at::GradMode::is_enabled()) return x;
    return in_backward(x, [on_complete = input.on_complete, unit] { on_complete(unit); });
  }

  // Behind the backward of the norm before the head. The gradients of a head that is tied are complete when
  // those of the embedding are.
  void leave_head() const {
    if (!is_tied()) head_unit().end_gradients();
    head_unit().release();
  }

  Tensor run_embedding(const ModelInput& input) const {
    embedding_unit().gather();
    const Tensor x_TD = embed(input);
    if (!store_) return x_TD;
    if (!is_tied()) embedding_unit().release();
    if (!at::GradMode::is_enabled()) return x_TD;
    // With an adapter too a backward comes to all units, as take_part does.
    if (!x_TD.requires_grad()) x_TD.set_requires_grad(true);
    if (is_tied()) return x_TD;
    // Its backward needs no weights.
    return in_backward(x_TD, [unit = embedding_unit()] { unit.begin_gradients(); });
  }

  // Leaves the head's weights whole, with room for the gradients that whoever computes with them adds.
  Tensor run_final_norm(const Tensor& x_CD) const {
    head_unit().gather();
    if (!store_ || !at::GradMode::is_enabled()) return scaled(final_norm_(x_CD), spec_.logit_scale);
    head_unit().begin_gradients();
    const Tensor kept_CD = in_backward(x_CD, [this] { leave_head(); });
    return scaled(final_norm_(kept_CD), spec_.logit_scale);
  }

  void add_layer(const LayerSpec& layer, const ParameterTable& table) {
    const AttentionSpec& attention = layer.attention;
    layers_.push_back(
        {.input_norm = table[layer.input_norm],
         .attention_norm = table[layer.attention_norm],
         .post_attention_norm = table[layer.post_attention_norm],
         .feed_forward_norm = table[layer.feed_forward_norm],
         .post_feed_forward_norm = table[layer.post_feed_forward_norm],
         .attention = {attention, table, layers_.size(), find_angles(attention.rotary)},
         .feed_forward = {layer.feed_forward, table},
         .experts = layer.experts ? std::optional<Experts>({*layer.experts, table}) : std::nullopt});
  }

  // Layers of equal rotary embeddings share their angles.
  size_t find_angles(const RotarySpec& rotary) {
    if (rotary.width == 0) return 0;
    for (size_t i = 0; i < rotaries_.size(); ++i) {
      if (rotaries_[i].spec == rotary) return i;
    }
    const auto type = dtype_ == at::kDouble ? at::kDouble : at::kFloat;
    rotaries_.push_back({rotary, inverse_frequencies(rotary, type).to(embedding_VD_.device())});
    return rotaries_.size() - 1;
  }

  Angles angles_at(const Tensor& positions_T, const Rotary& rotary) const {
    const Tensor& frequencies_J = rotary.frequencies_J;
    const Tensor angles_T1J =
        (positions_T.to(frequencies_J.scalar_type()).unsqueeze(-1) * frequencies_J).unsqueeze(1);
    const Tensor angles_T1K = at::cat({angles_T1J, angles_T1J}, -1);
    const double scale = rotary.spec.scaling.attention_factor;
    return {scaled(angles_T1K.cos(), scale).to(dtype_), scaled(angles_T1K.sin(), scale).to(dtype_)};
  }

  Shared share(const ModelInput& input) const {
    Shared shared;
    for (const Rotary& rotary : rotaries_) shared.angles.push_back(angles_at(input.positions_T, rotary));
    if (input.layout) shared.layout = std::make_shared<const ops::AttentionLayout>(*input.layout);
    shared.cache = input.cache;
    shared.kept_kv = input.kept_kv;
    shared.balance = input.balance;
    return shared;
  }

  Tensor embed(const ModelInput& input) const {
    Tensor x_TD = embedding_VD_.scalar_type() == dtype_
                      ? ops::embedding(embedding_VD_, input.ids_T)
                      : ops::numbers_of(embedding_VD_.index_select(0, input.ids_T), dtype_);
    if (spec_.embedding_scale != 1)
      x_TD = x_TD * at::scalar_tensor(spec_.embedding_scale, at::TensorOptions(x_TD.scalar_type()));
    if (spec_.positions)
      x_TD = x_TD + ops::embedding(positions_PD_, input.positions_T + spec_.positions->offset);
    return x_TD;
  }

  Tensor run_layer(const Layer& layer, const Tensor& input_TD, const Shared& shared) const {
    const Tensor x_TD = normed(layer.input_norm, input_TD);
    if (spec_.parallel_residual) return run_parallel(layer, x_TD, shared);
    const Tensor attended_TD =
        added(layer.post_attention_norm, layer.attention(normed(layer.attention_norm, x_TD), shared));
    const auto [y_TD, normed_TD] = normed_sum(layer.feed_forward_norm, x_TD, attended_TD);
    return y_TD + added(layer.post_feed_forward_norm, feed_forward(layer, normed_TD, shared));
  }

  Tensor run_parallel(const Layer& layer, const Tensor& x_TD, const Shared& shared) const {
    const Tensor normed_TD = normed(layer.attention_norm, x_TD);
    const Tensor attended_TD = added(layer.post_attention_norm, layer.attention(normed_TD, shared));
    const Tensor input_TD = layer.feed_forward_norm ? normed(layer.feed_forward_norm, x_TD) : normed_TD;
    return x_TD + attended_TD + added(layer.post_feed_forward_norm, feed_forward(layer, input_TD, shared));
  }

  static Tensor feed_forward(const Layer& layer, const Tensor& x_TD, const Shared& shared) {
    return layer.experts ? (*layer.experts)(x_TD, shared.balance) : layer.feed_forward(x_TD);
  }

  // What a part of a layer adds to its input.
  Tensor added(const OptionalNorm& norm, const Tensor& result_TD) const {
    return scaled(normed(norm, result_TD), spec_.residual_scale);
  }

  ModelSpec spec_;
  at::ScalarType dtype_;
  bool checkpointing_;
  std::shared_ptr<WeightStore> store_;
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
  const Tensor plain_CV = ops::linear_product(
      hidden_CD, model.head_weight(), bias_V.defined() ? std::optional<Tensor>(bias_V) : std::nullopt);
  const auto& softcap = model.spec().logit_softcap;
  return softcap ? at::tanh(plain_CV / *softcap) * *softcap : plain_CV;
}

std::unique_ptr<CausalLm> make_causal_lm(const ModelSpec& spec, const NamedTensors& tensors,
                                         const BuildOptions& options) {
  ops::apply_device_settings(options.device);
  return std::make_unique<Decoder>(spec, tensors, options);
}

}  // namespace ddro::models
