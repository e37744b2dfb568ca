#include "models/unread_keys.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

using std::string_view;

// What transformers' PretrainedConfig has for every model, beside the patterns below, and lengths of texts.
constexpr auto kHarmless = std::to_array<string_view>({
    "architectures",
    "auto_map",
    "bad_words_ids",
    "chunk_size_feed_forward",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuned",
    "finetuning_task",
    "id2label",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "max_position_embeddings",
    "max_seq_len",
    "max_sequence_length",
    "min_length",
    "model_max_length",
    "model_type",
    "n_ctx",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "original_max_position_embeddings",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "rope_interleaved",
    "router_aux_loss_coef",
    "seq_length",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "typical_p",
    "use_bfloat16",
});

constexpr auto kHarmlessBeginnings =
    std::to_array<string_view>({"init_", "output_", "return_dict", "summary_", "tie_"});

// Tokens, dropout that the family does not have, first weights, and how, not what, is computed.
constexpr auto kHarmlessParts =
    std::to_array<string_view>({"_init_", "cache", "checkpointing", "document", "dropout", "flash", "fp32",
                                "fused", "fusion", "implementation", "initializer", "name_or_path", "pdrop",
                                "quantization", "token", "transformers", "unsloth", "upcast"});

constexpr auto kSwitchWords = std::to_array<string_view>(
    {"act",     "activation", "alibi",     "attention", "attn",     "bias",     "clip",        "clipping",
     "conv",    "expert",     "experts",   "ffn",       "gate",     "gated",    "gating",      "layernorm",
     "logit",   "logits",     "lora",      "mamba",     "mla",      "mlp",      "moe",         "multiplier",
     "nope",    "norm",       "normalize", "norms",     "parallel", "position", "positional",  "qk",
     "qkv",     "residual",   "rmsnorm",   "rope",      "rotary",   "router",   "scale",       "scaled",
     "scaling", "shared",     "sink",      "sinks",     "sliding",  "softcap",  "softcapping", "softmax",
     "ssm",     "types",      "window"});

// Numbers that change nothing when they are 1.
constexpr auto kFactorWords = std::to_array<string_view>(
    {"coef", "factor", "fraction", "mod", "multiplier", "pct", "ratio", "scale", "scaling"});

// What the types of rotary embeddings have; those of another type than the model's have no effect.
constexpr auto kRopeKeys = std::to_array<string_view>(
    {"attention_factor", "beta_fast", "beta_slow", "factor", "high_freq_factor", "long_factor",
     "low_freq_factor", "mscale", "mscale_all_dim", "short_factor", "truncate"});

std::string in_lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

template <size_t N>
bool is_among(const std::array<string_view, N>& list, string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// Words are what underscores separate.
template <size_t N>
bool has_word(string_view name, const std::array<string_view, N>& words) {
  while (!name.empty()) {
    const size_t end = name.find('_');
    if (is_among(words, name.substr(0, end))) return true;
    name.remove_prefix(end == string_view::npos ? name.size() : end + 1);
  }
  return false;
}

bool is_off(string_view name, const Json& value) {
  if (value.is_number()) return value == 0 || (value == 1 && has_word(name, kFactorWords));
  return value.is_null() || value == false || value == "" || (value.is_structured() && value.empty());
}

// The same number under another name, where a folder has been converted from another family's.
bool is_epsilon_again(string_view name, const Json& value, const ModelSpec& model) {
  return has_word(name, std::to_array<string_view>({"eps", "epsilon"})) && value == model.norm_eps;
}

bool is_rms(NormKind kind) { return kind == NormKind::kRms || kind == NormKind::kRmsPlusOne; }

// Text mostly says again what the class has. Of positions and norms it is known what that is.
bool names_other(string_view name, const std::string& text, const ModelSpec& model) {
  const auto says = [&](string_view part) { return text.find(part) != std::string::npos; };
  const AttentionSpec& attention = model.layers.front().attention;
  if (has_word(name, std::to_array<string_view>({"pos", "position", "positional", "positions"}))) {
    return !((says("rope") || says("rotary")) && attention.rotary.width > 0) &&
           !(says("alibi") && attention.alibi) && !((says("learned") || says("absolute")) && model.positions);
  }
  if (has_word(name, std::to_array<string_view>({"norm", "normalization"})))
    return says("rms") ? !is_rms(model.norm_kind) : says("layer") && is_rms(model.norm_kind);
  return false;
}

bool is_harmless(const std::string& name, const std::string& key) {
  return is_among(kHarmless, key) ||
         std::any_of(kHarmlessBeginnings.begin(), kHarmlessBeginnings.end(),
                     [&](string_view beginning) { return key.starts_with(beginning); }) ||
         std::any_of(kHarmlessParts.begin(), kHarmlessParts.end(),
                     [&](string_view part) { return name.find(part) != std::string::npos; });
}

}  // namespace

std::vector<std::string> check_unread_keys(const ConfigReader& config, const ModelSpec& model) {
  const Json* use_windows = config.find("use_sliding_window");
  if (use_windows && *use_windows == false) config.ignore({"sliding_window", "max_window_layers"});
  std::vector<std::string> without_effect;
  for (const auto& [name, value] : config.unread()) {
    const std::string key = name.substr(name.rfind('.') + 1);
    const bool of_rope = name.starts_with("rope_scaling.") || name.starts_with("rope_parameters.");
    if (is_off(key, *value) || is_harmless(name, key) || is_epsilon_again(key, *value, model)) continue;
    const bool differs = value->is_string()
                             ? names_other(key, in_lower_case(value->get<std::string>()), model)
                             : has_word(key, kSwitchWords);
    if (of_rope ? !is_among(kRopeKeys, key) : differs) {
      config.fail(printable(name), "is not supported in " + model.model_type + " models; got " +
                                       shown(*value) + "; remove the key if the weights do not depend on it");
    }
    without_effect.push_back(printable(name) + " " + shown(*value));
  }
  return without_effect;
}

}  // namespace ddro::models
