#include "ddro/models/model_spec.h"

#include <algorithm>

#include "ddro/base/hash.h"
#include "ddro/models/weight_units.h"
#include "models/visit_linears.h"

namespace ddro::models {
namespace {

using Parameters = std::vector<ParameterSpec>;

void add(Parameters& all, const NormSpec& norm) {
  if (norm.name.empty()) return;
  using Shape = std::vector<std::int64_t>;
  all.push_back({norm.name + ".weight", norm.heads > 0 ? Shape{norm.heads, norm.width} : Shape{norm.width}});
  if (norm.bias) all.push_back({norm.name + ".bias", {norm.width}});
}

void add(Parameters& all, const std::optional<NormSpec>& norm) {
  if (norm) add(all, *norm);
}

void add(Parameters& all, const LinearSpec& linear) {
  if (linear.name.empty()) return;
  std::vector<std::int64_t> shape{linear.out, linear.in};
  if (linear.transposed) std::swap(shape[0], shape[1]);
  if (linear.stacked > 0) shape.insert(shape.begin(), linear.stacked);
  all.push_back({linear.weight_name(), shape});
  if (!linear.bias) return;
  all.push_back({linear.bias_name(), {linear.out}});
  if (linear.stacked > 0) all.back().shape.insert(all.back().shape.begin(), linear.stacked);
}

void add(Parameters& all, const AttentionSpec& attention) {
  for (const LinearSpec* linear : {&attention.query, &attention.key, &attention.value, &attention.fused})
    add(all, *linear);
  add(all, attention.query_norm);
  add(all, attention.key_norm);
  if (!attention.sinks_name.empty()) all.push_back({attention.sinks_name, {attention.num_heads}});
  add(all, attention.output);
}

void add(Parameters& all, const LayerSpec& layer) {
  add(all, layer.input_norm);
  add(all, layer.attention_norm);
  add(all, layer.attention);
  add(all, layer.post_attention_norm);
  add(all, layer.feed_forward_norm);
  visit_inner(layer, [&](const LinearSpec& linear) { add(all, linear); });
  add(all, layer.post_feed_forward_norm);
}

Parameters embedding_of(const ModelSpec& model) {
  Parameters all{{model.embedding_name, {model.vocab_size, model.hidden_size}}};
  if (const auto& positions = model.positions)
    all.push_back({positions->name, {positions->count + positions->offset, model.hidden_size}});
  return all;
}

// With the norm before it.
Parameters head_of(const ModelSpec& model) {
  Parameters all;
  add(all, model.final_norm);
  if (!model.tie_word_embeddings) all.push_back({model.head_name, {model.vocab_size, model.hidden_size}});
  if (!model.head_bias_name.empty()) all.push_back({model.head_bias_name, {model.vocab_size}});
  return all;
}

// Of one token.
std::int64_t multiplications(const LinearSpec& linear) {
  return linear.name.empty() ? 0 : linear.in * linear.out;
}

std::int64_t multiplications(const FeedForwardSpec& part) {
  std::int64_t sum = 0;
  visit_feed_forward(part, [&](const LinearSpec& linear) { sum += multiplications(linear); });
  return sum;
}

std::int64_t multiplications(const ExpertsSpec& experts) {
  return multiplications(experts.router) + experts.top_k * multiplications(experts.expert(0)) +
         multiplications(experts.shared_gate) + (experts.shared ? multiplications(*experts.shared) : 0);
}

std::int64_t multiplications(const LayerSpec& layer) {
  std::int64_t sum = multiplications(layer.feed_forward);
  visit_attention(layer.attention, [&](const LinearSpec& linear) { sum += multiplications(linear); });
  return sum + (layer.experts ? multiplications(*layer.experts) : 0);
}

Json describe(const RopeScaling& scaling) {
  Json all = {static_cast<int>(scaling.type), scaling.factor, scaling.low_freq_factor,
              scaling.high_freq_factor, scaling.original_max_position_embeddings};
  if (scaling.type == RopeScaling::Type::kYarn || scaling.type == RopeScaling::Type::kLongRope) {
    all.push_back({scaling.beta_fast, scaling.beta_slow, scaling.truncate, scaling.short_factor,
                   scaling.attention_factor});
  }
  return all;
}

template <typename Number>
Json describe(const std::optional<Number>& number) {
  return number ? Json(*number) : Json(nullptr);
}

// What only some families' attention has, as far as it is there.
Json special_parts(const AttentionSpec& attention) {
  Json all = Json::object();
  if (attention.rotary.width != attention.head_dim) all["rotary_width"] = attention.rotary.width;
  if (attention.rotary.interleaved) all["rotary_interleaved"] = true;
  if (!attention.fused.name.empty()) all["fused_groups"] = attention.fused_groups;
  if (attention.clip) all["clip"] = *attention.clip;
  if (attention.scale) all["scale"] = *attention.scale;
  if (attention.softcap) all["softcap"] = *attention.softcap;
  if (attention.norms_turned) all["norms_turned"] = true;
  if (attention.alibi) all["alibi"] = {attention.alibi->bias_max, attention.alibi->in_bfloat16};
  return all;
}

// What the weights of a layer do not tell.
Json describe(const AttentionSpec& attention) {
  Json all = {attention.num_heads,    attention.num_key_value_heads,      attention.head_dim,
              attention.rotary.theta, describe(attention.rotary.scaling), describe(attention.window)};
  if (const Json special = special_parts(attention); !special.empty()) all.push_back(special);
  return all;
}

// The first layer's with experts; those of a model are alike.
const ExpertsSpec* experts_of(const ModelSpec& model) {
  for (const LayerSpec& layer : model.layers) {
    if (layer.experts) return &*layer.experts;
  }
  return nullptr;
}

Json describe(const ExpertsSpec& experts) {
  return {experts.num_experts(), experts.top_k, experts.normalized, enum_name(experts.expert(0).activation),
          experts.shared.has_value()};
}

// What only some families have, as far as it is there.
void add_special_parts(Json& all, const ModelSpec& model) {
  const LayerSpec& layer = model.layers.front();
  if (const Json special = special_parts(layer.attention); !special.empty()) all["attention"] = special;
  if (layer.feed_forward.activation != Activation::kSilu)
    all["activation"] = enum_name(layer.feed_forward.activation);
  if (const ExpertsSpec* experts = experts_of(model)) all["experts"] = describe(*experts);
  if (model.norm_kind != NormKind::kRms) all["norm_kind"] = static_cast<int>(model.norm_kind);
  if (model.parallel_residual) all["parallel_residual"] = true;
  if (model.embedding_scale != 1) all["embedding_scale"] = model.embedding_scale;
  if (model.residual_scale != 1) all["residual_scale"] = model.residual_scale;
  if (model.logit_scale != 1) all["logit_scale"] = model.logit_scale;
  if (model.logit_softcap) all["logit_softcap"] = *model.logit_softcap;
}

struct Windows {
  std::optional<std::int64_t> size;
  std::int64_t first_layer = 0;
};

// Of the usual pattern: none, or one from some layer on.
Windows usual_windows(const std::vector<LayerSpec>& layers) {
  const auto first = std::find_if(layers.begin(), layers.end(),
                                  [](const LayerSpec& layer) { return layer.attention.window.has_value(); });
  if (first == layers.end()) return {};
  return {first->attention.window, first - layers.begin()};
}

bool layers_are_alike(const std::vector<LayerSpec>& layers, const Windows& windows) {
  AttentionSpec expected = layers.front().attention;
  for (size_t i = 0; i < layers.size(); ++i) {
    expected.window = static_cast<std::int64_t>(i) >= windows.first_layer ? windows.size : std::nullopt;
    if (describe(layers[i].attention) != describe(expected)) return false;
  }
  return true;
}

// Calls visit(name) for the names of a layer's tensors.
template <typename Visit>
void for_each_name(LayerSpec& layer, const Visit& visit) {
  AttentionSpec& attention = layer.attention;
  const auto visit_linear = [&](LinearSpec& linear) { visit(linear.name); };
  visit_attention(attention, visit_linear);
  visit(attention.sinks_name);
  visit_inner(layer, visit_linear);
  for (auto* norm :
       {&layer.input_norm, &layer.attention_norm, &layer.post_attention_norm, &layer.feed_forward_norm,
        &layer.post_feed_forward_norm, &attention.query_norm, &attention.key_norm}) {
    if (*norm) visit((*norm)->name);
  }
}

// "MLP 1536", "60 experts of 1408 (4 a token) beside one of 5632".
std::string inner_summary(const ModelSpec& model) {
  const auto number = [](auto value) { return std::to_string(value); };
  const ExpertsSpec* experts = experts_of(model);
  if (experts == nullptr) return "MLP " + number(model.layers.front().feed_forward.up.out);
  std::string text = number(experts->num_experts()) + " experts of " + number(experts->expert(0).up.out) +
                     " (" + number(experts->top_k) + " a token)";
  if (experts->shared) text += " beside one of " + number(experts->shared->up.out);
  return text;
}

// Each layer's, in little space: the description is a part of the name of caches.
std::string hash_layers(const std::vector<LayerSpec>& layers) {
  Json all = Json::array();
  for (const LayerSpec& layer : layers) all.push_back(describe(layer.attention));
  return hash_text(all.dump());
}

}  // namespace

std::vector<ParameterSpec> parameters_of(const ModelSpec& model) {
  std::vector<ParameterSpec> all = embedding_of(model);
  for (const LayerSpec& layer : model.layers) add(all, layer);
  for (ParameterSpec& each : head_of(model)) all.push_back(std::move(each));
  return all;
}

std::vector<std::vector<ParameterSpec>> units_of(const ModelSpec& model) {
  std::vector<std::vector<ParameterSpec>> units{embedding_of(model)};
  for (const LayerSpec& layer : model.layers) add(units.emplace_back(), layer);
  if (!model.tie_word_embeddings) units.emplace_back();
  std::vector<ParameterSpec>& last = model.tie_word_embeddings ? units.front() : units.back();
  for (ParameterSpec& each : head_of(model)) last.push_back(std::move(each));
  return units;
}

std::unordered_map<std::string, size_t> unit_of_each(const ModelSpec& model) {
  std::unordered_map<std::string, size_t> unit_of;
  const auto units = units_of(model);
  for (size_t unit = 0; unit < units.size(); ++unit) {
    for (const ParameterSpec& each : units[unit]) unit_of[each.name] = unit;
  }
  return unit_of;
}

std::int64_t num_experts(const ModelSpec& model) {
  const ExpertsSpec* experts = experts_of(model);
  return experts == nullptr ? 0 : experts->num_experts();
}

void drop_prefix(ModelSpec& model, const std::string& prefix) {
  const auto drop = [&](std::string& name) {
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  };
  drop(model.embedding_name);
  if (model.positions) drop(model.positions->name);
  drop(model.head_name);
  drop(model.final_norm.name);
  for (LayerSpec& layer : model.layers) for_each_name(layer, drop);
}

std::vector<LinearSpec> linears_of(const ModelSpec& model) {
  std::vector<LinearSpec> all;
  const auto add_one = [&](const LinearSpec& linear) {
    if (!linear.name.empty() && linear.adaptable) all.push_back(linear);
  };
  for (const LayerSpec& layer : model.layers) {
    visit_attention(layer.attention, add_one);
    visit_inner(layer, add_one);
  }
  return all;
}

std::int64_t num_trunk_matmul_parameters(const ModelSpec& model) {
  std::int64_t count = 0;
  for (const LayerSpec& layer : model.layers) count += multiplications(layer);
  return count;
}

Json describe(const ModelSpec& model) {
  const LayerSpec& layer = model.layers.front();
  const AttentionSpec& attention = layer.attention;
  const Windows windows = usual_windows(model.layers);
  Json all = {{"model_type", model.model_type},
              {"vocab_size", model.vocab_size},
              {"hidden_size", model.hidden_size},
              {"intermediate_size", layer.feed_forward.up.out},
              {"num_hidden_layers", model.layers.size()},
              {"num_attention_heads", attention.num_heads},
              {"num_key_value_heads", attention.num_key_value_heads},
              {"head_dim", attention.head_dim},
              {"max_position_embeddings", model.max_position_embeddings},
              {"rms_norm_eps", model.norm_eps},
              {"rope_theta", attention.rotary.theta},
              {"rope_scaling", describe(attention.rotary.scaling)},
              {"tie_word_embeddings", model.tie_word_embeddings},
              {"qkv_bias", attention.query.bias},
              {"output_bias", attention.output.bias},
              {"mlp_bias", layer.feed_forward.up.bias},
              {"qk_norm", attention.query_norm.has_value()},
              {"sliding_window", describe(windows.size)},
              {"window_from_layer", windows.first_layer}};
  add_special_parts(all, model);
  if (!layers_are_alike(model.layers, windows)) all["layers"] = hash_layers(model.layers);
  return all;
}

std::string summary(const ModelSpec& model) {
  const AttentionSpec& attention = model.layers.front().attention;
  const auto number = [](auto value) { return std::to_string(value); };
  std::string text = model.model_type + ", " + number(model.layers.size()) + " layers of width " +
                     number(model.hidden_size) + ", " + number(attention.num_heads) + " heads of " +
                     number(attention.head_dim) + " (" + number(attention.num_key_value_heads) +
                     " for keys and values), " + inner_summary(model) + ", " + number(model.vocab_size) +
                     " ids, " + number(model.max_position_embeddings) + " positions";
  if (const auto window = usual_windows(model.layers).size) text += ", window of " + number(*window);
  if (model.tie_word_embeddings) text += ", head tied to the embedding";
  return text;
}

}  // namespace ddro::models
