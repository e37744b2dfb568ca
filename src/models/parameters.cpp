#include "models/parameters.h"

#include <ATen/ATen.h>

#include <unordered_map>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool is_float(at::ScalarType type) {
  return type == at::kDouble || type == at::kFloat || type == at::kHalf || type == at::kBFloat16;
}

}  // namespace

std::vector<ParameterSpec> expected_parameters(const ModelConfig& config) {
  const std::int64_t width = config.hidden_size;
  const std::int64_t inner = config.intermediate_size;
  const std::int64_t queries = config.num_attention_heads * config.head_dim;
  const std::int64_t keys = config.num_key_value_heads * config.head_dim;
  std::vector<ParameterSpec> specs{{kEmbeddingName, {config.vocab_size, width}}};
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
    specs.push_back({name + ".weight", {out, in}});
    if (bias) specs.push_back({name + ".bias", {out}});
  };
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    specs.push_back({layer + "input_layernorm.weight", {width}});
    linear(layer + "self_attn.q_proj", queries, width, config.qkv_bias);
    linear(layer + "self_attn.k_proj", keys, width, config.qkv_bias);
    linear(layer + "self_attn.v_proj", keys, width, config.qkv_bias);
    if (config.qk_norm) {
      specs.push_back({layer + "self_attn.q_norm.weight", {config.head_dim}});
      specs.push_back({layer + "self_attn.k_norm.weight", {config.head_dim}});
    }
    linear(layer + "self_attn.o_proj", width, queries, config.output_bias);
    specs.push_back({layer + "post_attention_layernorm.weight", {width}});
    linear(layer + "mlp.gate_proj", inner, width, config.mlp_bias);
    linear(layer + "mlp.up_proj", inner, width, config.mlp_bias);
    linear(layer + "mlp.down_proj", width, inner, config.mlp_bias);
  }
  specs.push_back({"model.norm.weight", {width}});
  if (!config.tie_word_embeddings) specs.push_back({kHeadName, {config.vocab_size, width}});
  return specs;
}

NamedTensors match_parameters(const ModelConfig& config, const NamedTensors& tensors,
                              const std::string& where, ErrorKind kind) {
  const auto fail = [&](const std::string& name, const std::string& what) {
    return Error(kind, "[" + where + "] tensor " + printable(name) + " " + what);
  };
  std::unordered_map<std::string, Tensor> by_name;
  for (const auto& [name, tensor] : tensors) {
    if (!by_name.emplace(name, tensor).second) throw fail(name, "occurs twice");
  }
  NamedTensors matched;
  for (const ParameterSpec& spec : expected_parameters(config)) {
    const auto found = by_name.find(spec.name);
    if (found == by_name.end())
      throw fail(spec.name, "is missing; config.json calls for it with shape " + shape_text(spec.shape));
    if (found->second.sizes() != at::IntArrayRef(spec.shape)) {
      throw fail(spec.name, "has the wrong shape; got " + shape_text(found->second.sizes()) + ", expected " +
                                shape_text(spec.shape));
    }
    if (!is_float(found->second.scalar_type())) {
      throw fail(spec.name, std::string("is not a float tensor; got ") +
                                c10::toString(found->second.scalar_type()) +
                                ", expected float64, float32, float16 or bfloat16");
    }
    matched.emplace_back(spec.name, found->second);
    by_name.erase(found);
  }
  for (const auto& [name, tensor] : tensors) {
    if (by_name.contains(name))
      throw fail(name, "is not a parameter of this " + config.model_type + " configuration");
  }
  return matched;
}

}  // namespace ddro::models
