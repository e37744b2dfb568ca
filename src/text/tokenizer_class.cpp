#include "text/tokenizer_class.h"

#include <algorithm>

namespace ddro::text {
namespace {

const std::vector<TokenizerClass>& classes() {
  constexpr std::string_view kEndOfText = "<|endoftext|>";
  static const std::vector<TokenizerClass> known = {
      {},
      {.name = "TokenizersBackend",
       .post_processing = PostProcessing::kWhenAsked,
       .sets_prefix_space = false},
      {.name = "LlamaTokenizer",
       .post_processing = PostProcessing::kConfig,
       .add_bos = true,
       .named = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}},
       .sets_prefix_space = false},
      {.name = "InternLM2Tokenizer",
       .post_processing = PostProcessing::kConfig,
       .add_bos = true,
       .named = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}, {"pad_token", "</s>"}}},
      {.name = "CodeLlamaTokenizer",
       .post_processing = PostProcessing::kConfig,
       .add_bos = true,
       .named = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}},
       .additional = {{"prefix_token", "▁<PRE>"},
                      {"middle_token", "▁<MID>"},
                      {"suffix_token", "▁<SUF>"},
                      {"eot_token", "▁<EOT>"}}},
      {.name = "GemmaTokenizer",
       .post_processing = PostProcessing::kConfig,
       .add_bos = true,
       .named =
           {{"bos_token", "<bos>"}, {"eos_token", "<eos>"}, {"unk_token", "<unk>"}, {"pad_token", "<pad>"}}},
      {.name = "CohereTokenizer",
       .post_processing = PostProcessing::kConfig,
       .add_bos = true,
       .named = {{"bos_token", "<BOS_TOKEN>"},
                 {"eos_token", "<|END_OF_TURN_TOKEN|>"},
                 {"unk_token", "<UNK>"}},
       .reaches_inside = true},
      {.name = "GPTNeoXTokenizer",
       .post_processing = PostProcessing::kConfig,
       .named = {{"bos_token", kEndOfText}, {"eos_token", kEndOfText}, {"unk_token", kEndOfText}}},
      {.name = "GPT2Tokenizer",
       .named = {{"bos_token", kEndOfText}, {"eos_token", kEndOfText}, {"unk_token", kEndOfText}}},
      {.name = "CodeGenTokenizer",
       .named = {{"bos_token", kEndOfText}, {"eos_token", kEndOfText}, {"unk_token", kEndOfText}}},
      {.name = "Qwen2Tokenizer",
       .named = {{"eos_token", kEndOfText}, {"unk_token", kEndOfText}, {"pad_token", kEndOfText}},
       .flags_named = true},
      {.name = "BloomTokenizer",
       .named = {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}, {"pad_token", "<pad>"}},
       .reaches_inside = true},
  };
  return known;
}

struct ModelTypes {
  std::string_view tokenizer_class;
  std::vector<std::string_view> model_types;
};

const std::vector<ModelTypes>& model_types() {
  static const std::vector<ModelTypes> known = {
      {"LlamaTokenizer",
       {"arcee", "deepseek_v2", "deepseek_v3", "diffllama", "ernie4_5", "ernie4_5_moe", "jamba", "jetmoe",
        "llama", "llama4", "llama4_text", "mistral", "mixtral", "persimmon", "phi3", "phimoe", "zamba",
        "zamba2"}},
      {"CodeLlamaTokenizer", {"code_llama"}},
      {"GemmaTokenizer",
       {"gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text", "recurrent_gemma"}},
      {"CohereTokenizer", {"cohere", "cohere2"}},
      {"GPTNeoXTokenizer",
       {"falcon_mamba", "gpt_neox", "mamba", "mamba2", "mpt", "olmo", "olmo2", "olmoe", "rwkv", "stablelm"}},
      {"GPT2Tokenizer",
       {"dbrx", "exaone4", "flex_olmo", "gpt2", "gpt_bigcode", "gpt_neo", "gptj", "minimax", "olmo3", "opt",
        "starcoder2"}},
      {"CodeGenTokenizer", {"codegen", "phi"}},
      {"Qwen2Tokenizer", {"qwen2", "qwen2_moe", "qwen2_vl", "qwen3", "qwen3_moe", "qwen3_next"}},
      {"BloomTokenizer", {"bloom"}},
  };
  return known;
}

std::string class_of_model_type(const std::string& model_type) {
  for (const ModelTypes& entry : model_types()) {
    if (std::find(entry.model_types.begin(), entry.model_types.end(), model_type) != entry.model_types.end())
      return std::string(entry.tokenizer_class);
  }
  return "";
}

std::string class_of_model(const gguf::ModelFiles& files) {
  if (!files.has("config.json")) return "";
  const Value json = read_large_json(files, "config.json");
  const Component config(json, files.place("config.json"));
  const std::string named = config.text_or("tokenizer_class", "");
  return named.empty() ? class_of_model_type(config.text_or("model_type", "")) : named;
}

}  // namespace

const TokenizerClass& find_tokenizer_class(const Component& tokenizer_config, const gguf::ModelFiles& files) {
  std::string name = tokenizer_config.text_or("tokenizer_class", "");
  if (name.empty()) name = class_of_model(files);
  if (name.empty() && !files.has("tokenizer.json")) name = "LlamaTokenizer";
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const auto found = std::find_if(classes().begin(), classes().end(),
                                  [&](const TokenizerClass& known) { return known.name == name; });
  return found == classes().end() ? classes().front() : *found;
}

}  // namespace ddro::text
