#include "ddro/models/model_spec.h"

#include <algorithm>

#include "ddro/base/hash.h"

namespace ddro::models {
namespace {

void add(std::vector<ParameterSpec>& all, const NormSpec& norm) {
  all.push_back({norm.name + ".weight", {norm.width}});
}

void add(std::vector<ParameterSpec>& all, const LinearSpec& linear) {
  all.push_back({linear.name + ".weight", {linear.out, linear.in}});
  if (linear.bias) all.push_back({linear.name + ".bias", {linear.out}});
}

void add(std::vector<ParameterSpec>& all, const AttentionSpec& attention) {
  for (const LinearSpec* linear : {&attention.query, &attention.key, &attention.value}) add(all, *linear);
  for (const auto* norm : {&attention.query_norm, &attention.key_norm}) {
    if (*norm) add(all, **norm);
  }
  add(all, attention.output);
}

void add(std::vector<ParameterSpec>& all, const FeedForwardSpec& feed_forward) {
  for (const LinearSpec* linear : {&feed_forward.gate, &feed_forward.up, &feed_forward.down})
    add(all, *linear);
}

void add(std::vector<ParameterSpec>& all, const LayerSpec& layer) {
  add(all, layer.attention_norm);
  add(all, layer.attention);
  add(all, layer.feed_forward_norm);
  add(all, layer.feed_forward);
}

std::int64_t weights_of(const LayerSpec& layer) {
  std::vector<ParameterSpec> all;
  add(all, layer);
  std::int64_t count = 0;
  for (const ParameterSpec& parameter : all) {
    if (parameter.shape.size() == 2) count += parameter.shape[0] * parameter.shape[1];
  }
  return count;
}

Json describe(const RopeScaling& scaling) {
  return {static_cast<int>(scaling.type), scaling.factor, scaling.low_freq_factor, scaling.high_freq_factor,
          scaling.original_max_position_embeddings};
}

Json describe(const std::optional<std::int64_t>& window) { return window ? Json(*window) : Json(nullptr); }

// What the weights of a layer do not tell.
Json describe(const AttentionSpec& attention) {
  return {attention.num_heads,    attention.num_key_value_heads,      attention.head_dim,
          attention.rotary.theta, describe(attention.rotary.scaling), describe(attention.window)};
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

// Each layer's, in little space: the description is a part of the name of caches.
std::string hash_layers(const std::vector<LayerSpec>& layers) {
  Json all = Json::array();
  for (const LayerSpec& layer : layers) all.push_back(describe(layer.attention));
  return hash_text(all.dump());
}

}  // namespace

std::vector<ParameterSpec> parameters_of(const ModelSpec& model) {
  std::vector<ParameterSpec> all{{model.embedding_name, {model.vocab_size, model.hidden_size}}};
  for (const LayerSpec& layer : model.layers) add(all, layer);
  add(all, model.final_norm);
  if (!model.tie_word_embeddings) all.push_back({model.head_name, {model.vocab_size, model.hidden_size}});
  return all;
}

std::int64_t num_trunk_matmul_parameters(const ModelSpec& model) {
  std::int64_t count = 0;
  for (const LayerSpec& layer : model.layers) count += weights_of(layer);
  return count;
}

Json describe(const ModelSpec& model) {
  const LayerSpec& layer = model.layers.front();
  const AttentionSpec& attention = layer.attention;
  const Windows windows = usual_windows(model.layers);
  Json all = {{"model_type", model.model_type},
              {"vocab_size", model.vocab_size},
              {"hidden_size", model.hidden_size},
              {"intermediate_size", layer.feed_forward.gate.out},
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
              {"mlp_bias", layer.feed_forward.gate.bias},
              {"qk_norm", attention.query_norm.has_value()},
              {"sliding_window", describe(windows.size)},
              {"window_from_layer", windows.first_layer}};
  if (!layers_are_alike(model.layers, windows)) all["layers"] = hash_layers(model.layers);
  return all;
}

std::string summary(const ModelSpec& model) {
  const LayerSpec& layer = model.layers.front();
  const AttentionSpec& attention = layer.attention;
  const auto number = [](auto value) { return std::to_string(value); };
  std::string text = model.model_type + ", " + number(model.layers.size()) + " layers of width " +
                     number(model.hidden_size) + ", " + number(attention.num_heads) + " heads of " +
                     number(attention.head_dim) + " (" + number(attention.num_key_value_heads) +
                     " for keys and values), MLP " + number(layer.feed_forward.gate.out) + ", " +
                     number(model.vocab_size) + " ids, " + number(model.max_position_embeddings) +
                     " positions";
  if (const auto window = usual_windows(model.layers).size) text += ", window of " + number(*window);
  if (model.tie_word_embeddings) text += ", head tied to the embedding";
  return text;
}

}  // namespace ddro::models
