#include "gguf/architectures.h"

#include <algorithm>

#include "ddro/gguf/llama3_rotary.h"

namespace ddro::gguf {
namespace {

constexpr PartName kLlamaParts[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
constexpr PartName kGemmaParts[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

// Of the largest models of a family, the scores are scaled by another width than a head's; their number of
// layers tells them.
void add_score_scale(Metadata& metadata, std::uint64_t layers_of_largest, Json& config) {
  const bool largest = config["num_hidden_layers"] == layers_of_largest;
  const auto heads = config["num_attention_heads"].get<std::uint64_t>();
  config["query_pre_attn_scalar"] = largest && heads > 0 ? config["hidden_size"].get<std::uint64_t>() / heads
                                                         : metadata.required("attention.key_length");
}

// Every `period`-th layer sees all tokens.
void add_windows(Metadata& metadata, std::uint64_t period, Json& config) {
  config["sliding_window"] = metadata.required("attention.sliding_window");
  const auto num_layers = config["num_hidden_layers"].get<std::uint64_t>();
  Json types = Json::array();
  constexpr std::uint64_t kMost = 1 << 12;  // more are refused where config.json is read
  for (std::uint64_t i = 1; i <= std::min(num_layers, kMost); ++i)
    types.push_back(i % period == 0 ? "full_attention" : "sliding_attention");
  config["layer_types"] = std::move(types);
}

void add_gemma2(Metadata& metadata, Json& config) {
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config["attn_logit_softcapping"] = metadata.number("attn_logit_softcapping").value_or(50);
  config["final_logit_softcapping"] = metadata.number("final_logit_softcapping").value_or(30);
  add_windows(metadata, 2, config);
  add_score_scale(metadata, 46, config);
}

void add_gemma3(Metadata& metadata, Json& config) {
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config["rope_local_base_freq"] = 10000.0;
  add_windows(metadata, 6, config);
  add_score_scale(metadata, 62, config);
}

constexpr Architecture kArchitectures[] = {
    {.name = "llama",
     .model_type = "llama",
     .model_class = "LlamaForCausalLM",
     .parts = kLlamaParts,
     .paired_rows = true,
     .also = "mistral"},
    {.name = "qwen2", .model_type = "qwen2", .model_class = "Qwen2ForCausalLM", .parts = kLlamaParts},
    {.name = "qwen3", .model_type = "qwen3", .model_class = "Qwen3ForCausalLM", .parts = kLlamaParts},
    {.name = "gemma2",
     .model_type = "gemma2",
     .model_class = "Gemma2ForCausalLM",
     .parts = kGemmaParts,
     .plus_one = true,
     .is_gemma = true,
     .add = add_gemma2},
    {.name = "gemma3",
     .model_type = "gemma3_text",
     .model_class = "Gemma3ForCausalLM",
     .parts = kGemmaParts,
     .plus_one = true,
     .is_gemma = true,
     .add = add_gemma3},
};

[[noreturn]] void refuse(const GgufFile& file, const std::string& what) {
  throw model_error("[" + file.where() + "] " + what);
}

void add_sizes(Metadata& metadata, Json& config) {
  const std::uint64_t width = metadata.required("embedding_length");
  const std::uint64_t heads = metadata.required("attention.head_count");
  config["hidden_size"] = width;
  config["intermediate_size"] = metadata.required("feed_forward_length");
  config["num_hidden_layers"] = metadata.required("block_count");
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = metadata.integer("attention.head_count_kv").value_or(heads);
  config["max_position_embeddings"] = metadata.required("context_length");
  const auto head_width = metadata.integer("attention.key_length");
  if (head_width) config["head_dim"] = *head_width;
  if (metadata.integer("attention.value_length").value_or(0) != head_width.value_or(0))
    metadata.refuse("attention.value_length", "differs from attention.key_length, which is not supported");
  const std::uint64_t turned = head_width.value_or(heads > 0 ? width / heads : 0);
  if (metadata.integer("rope.dimension_count").value_or(turned) != turned)
    metadata.refuse("rope.dimension_count", "turns a part of each head, which is not supported");
  if (metadata.integer("expert_count").value_or(0) + metadata.integer("expert_used_count").value_or(0) > 0)
    metadata.refuse("expert_count", "is set; mixtures of experts are not supported in GGUF files");
  config["rms_norm_eps"] = metadata.number("attention.layer_norm_rms_epsilon").value_or(1e-6);
  metadata.integer("vocab_size");  // as many as the embedding has rows, or fewer
}

void add_rotary(Metadata& metadata, Json& config) {
  config["rope_theta"] = metadata.number("rope.freq_base").value_or(10000);
  const std::string type = metadata.text("rope.scaling.type").value_or("none");
  const auto factor = metadata.number("rope.scaling.factor");
  const auto original = metadata.integer("rope.scaling.original_context_length");
  if (type == "none" || factor.value_or(1) == 1) return;
  if (type != "linear" && type != "yarn")
    metadata.refuse("rope.scaling.type",
                    "\"" + printable(type) + "\" is not supported; expected none, linear or yarn");
  Json scaling = {{"rope_type", type}, {"factor", *factor}};
  if (type == "yarn" && original) scaling["original_max_position_embeddings"] = *original;
  config["rope_scaling"] = std::move(scaling);
}

}  // namespace

std::string known_architectures() {
  std::string names;
  for (const Architecture& each : kArchitectures)
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  return names;
}

const Architecture* find_architecture(std::string_view model_type) {
  const auto* const found =
      std::find_if(std::begin(kArchitectures), std::end(kArchitectures), [&](const Architecture& each) {
        return each.model_type == model_type || (!each.also.empty() && each.also == model_type);
      });
  return found == std::end(kArchitectures) ? nullptr : found;
}

const Architecture& architecture_of(const GgufFile& file) {
  if (file.text("general.type").value_or("model") != "model")
    refuse(file, "is no model but a GGUF file of type \"" + printable(*file.text("general.type")) + "\"");
  if (file.integer("split.count").value_or(1) > 1)
    refuse(file, "is one of several parts of a model; put them together with: llama-gguf-split --merge");
  const auto name = file.text("general.architecture");
  if (!name) refuse(file, "metadata \"general.architecture\" is missing");
  const auto* const found = std::find_if(std::begin(kArchitectures), std::end(kArchitectures),
                                         [&](const Architecture& each) { return each.name == *name; });
  if (found == std::end(kArchitectures)) {
    refuse(file, "general.architecture \"" + printable(*name) +
                     "\" is not supported in GGUF files; expected " + known_architectures());
  }
  return *found;
}

Json model_config(const GgufFile& file, const Architecture& architecture) {
  Metadata metadata(file, std::string(architecture.name));
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (!embedding) refuse(file, "tensor token_embd.weight is missing");
  Json config = {{"architectures", {architecture.model_class}},
                 {"model_type", architecture.model_type},
                 {"vocab_size", embedding->shape.front()},
                 {"tie_word_embeddings", file.find_tensor("output.weight") == nullptr}};
  add_sizes(metadata, config);
  add_rotary(metadata, config);
  if (architecture.add) architecture.add(metadata, config);
  add_llama3_rotary(file, config);
  if (architecture.model_type != "qwen2")
    config["attention_bias"] = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  if (architecture.model_type == "llama")
    config["mlp_bias"] = file.find_tensor("blk.0.ffn_up.bias") != nullptr;
  for (const char* role : {"bos", "eos", "padding"}) {
    const std::string key = std::string("tokenizer.ggml.") + role + "_token_id";
    const std::string name = std::string(role) == "padding" ? "pad" : role;
    if (const auto id = file.integer(key)) config[name + "_token_id"] = *id;
  }
  metadata.refuse_others();
  return config;
}

}  // namespace ddro::gguf
