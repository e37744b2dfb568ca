#include "gguf/tokenizer_files.h"

#include <algorithm>

#include "ddro/base/utf8.h"
#include "ddro/gguf/word_rules.h"

namespace ddro::gguf {
namespace {

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr size_t kMaxTokens = size_t{1} << 20;  // and merges; published models have at most half of that
constexpr std::ptrdiff_t kMaxAddedTokens = std::ptrdiff_t{1} << 16;

WordRules words_of(const GgufFile& file) {
  const std::string name = file.text(kPre).value_or("");
  if (auto rules = word_rules(name)) return *std::move(rules);
  refuse_tokenizer(file, std::string("metadata \"") + kPre + "\" is \"" + printable(name) +
                             "\", which does not say how text is cut into words; expected " +
                             names_of_word_rules());
}

bool is_added(TokenKind kind) { return kind == TokenKind::kControl || kind == TokenKind::kUserDefined; }

Json added_tokens(const GgufFile& file, const Vocabulary& vocabulary) {
  const auto count = std::count_if(vocabulary.kinds.begin(), vocabulary.kinds.end(), is_added);
  if (count > kMaxAddedTokens) refuse_tokenizer(file, "there are too many control tokens");
  Json list = Json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!is_added(vocabulary.kinds[id])) continue;
    list.push_back({{"id", id},
                    {"content", vocabulary.tokens[id]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", vocabulary.kinds[id] == TokenKind::kControl}});
  }
  return list;
}

// Tokens that are there to fill the table have no text of their own.
Json byte_pair_model(const GgufFile& file, const Vocabulary& vocabulary, const WordRules& words) {
  nlohmann::json vocab = nlohmann::json::object();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.kinds[id] == TokenKind::kUnused) continue;
    if (!vocab.emplace(vocabulary.tokens[id], id).second)
      refuse_tokenizer(file, "two tokens are \"" + printable(vocabulary.tokens[id]) + "\"");
  }
  Json merges = Json::array();
  const auto& texts = file.texts("tokenizer.ggml.merges");
  if (texts.size() > kMaxTokens) refuse_tokenizer(file, "there are too many merges");
  for (const std::string_view merge : texts) {
    if (find_invalid_utf8(merge) != std::string_view::npos) refuse_tokenizer(file, "a merge is not UTF-8");
    merges.push_back(merge);
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", words.ignores_merges},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

bool adds(const GgufFile& file, const char* role, bool otherwise) {
  return file.boolean(std::string("tokenizer.ggml.add_") + role + "_token").value_or(otherwise);
}

// The token that a key names; empty where there is no such key.
std::string named_token(const GgufFile& file, const Vocabulary& vocabulary, const std::string& role) {
  const std::string key = "tokenizer.ggml." + role + "_token_id";
  const auto id = file.integer(key);
  if (!id) return "";
  if (*id >= vocabulary.tokens.size())
    refuse_tokenizer(file, "metadata \"" + key + "\" is " + std::to_string(*id) + ", the id of no token");
  return vocabulary.tokens[*id];
}

// What is put in front of a text and behind it, as transformers writes it.
Json post_processor(const GgufFile& file, const Vocabulary& vocabulary, const WordRules& words) {
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  Json single = Json::array(), special = Json::object();
  const auto add = [&](const char* role) {
    const std::string token = named_token(file, vocabulary, role);
    if (token.empty()) refuse_tokenizer(file, std::string("adds a token that it does not name: ") + role);
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    special[token] = {{"id", token},
                      {"ids", {*file.integer(std::string("tokenizer.ggml.") + role + "_token_id")}},
                      {"tokens", {token}}};
  };
  if (adds(file, "bos", words.adds_bos)) add("bos");
  single.push_back(text);
  if (adds(file, "eos", false)) add("eos");
  if (special.empty()) return nullptr;
  Json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

}  // namespace

void refuse_tokenizer(const GgufFile& file, const std::string& what) {
  throw model_error("[" + file.where() + "] tokenizer: " + what +
                    "; unpack the file to a Hugging Face folder with the model's own tokenizer");
}

bool has_sentencepiece(const GgufFile& file) {
  const std::string model = file.text(kModel).value_or("");
  if (model != "llama" && model != "gpt2") {
    refuse_tokenizer(file, std::string("metadata \"") + kModel + "\" is \"" + printable(model) +
                               "\", which is not supported; expected gpt2 or llama");
  }
  return model == "llama";
}

Vocabulary read_vocabulary(const GgufFile& file) {
  Vocabulary vocabulary;
  const auto& tokens = file.texts("tokenizer.ggml.tokens");
  const std::vector<double> kinds = file.numbers("tokenizer.ggml.token_type");
  if (tokens.empty() || tokens.size() > kMaxTokens || kinds.size() != tokens.size()) {
    refuse_tokenizer(file, "there are " + std::to_string(tokens.size()) + " tokens and " +
                               std::to_string(kinds.size()) + " types of tokens");
  }
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool known = kinds[id] >= 1 && kinds[id] <= 6;
    if (!known || tokens[id].empty() || find_invalid_utf8(tokens[id]) != std::string_view::npos)
      refuse_tokenizer(file, "token " + std::to_string(id) + " is empty, not UTF-8, or of an unknown type");
    vocabulary.tokens.emplace_back(tokens[id]);
    vocabulary.kinds.push_back(static_cast<TokenKind>(static_cast<int>(kinds[id])));
  }
  return vocabulary;
}

Json tokenizer_json(const GgufFile& file) {
  const WordRules words = words_of(file);
  const Vocabulary vocabulary = read_vocabulary(file);
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens(file, vocabulary)},
          {"normalizer", words.normalizer},
          {"pre_tokenizer", words.pre_tokenizer},
          {"post_processor", post_processor(file, vocabulary, words)},
          {"decoder", byte_level_decoder()},
          {"model", byte_pair_model(file, vocabulary, words)}};
}

Json tokenizer_config(const GgufFile& file, const Architecture& architecture) {
  const Vocabulary vocabulary = read_vocabulary(file);
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  if (has_sentencepiece(file)) {
    config["tokenizer_class"] = architecture.is_gemma ? "GemmaTokenizer" : "LlamaTokenizer";
    config["add_bos_token"] = adds(file, "bos", true);
    config["add_eos_token"] = adds(file, "eos", false);
    // llama.cpp puts the space in front of every part between control tokens: the older rule.
    config["legacy"] = true;
    if (!architecture.is_gemma)
      config["add_prefix_space"] = file.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  }
  for (const auto& [role, name] : {std::pair("bos", "bos_token"), std::pair("eos", "eos_token"),
                                   std::pair("unknown", "unk_token"), std::pair("padding", "pad_token")}) {
    const std::string token = named_token(file, vocabulary, role);
    if (!token.empty()) config[name] = token;
  }
  return config;
}

}  // namespace ddro::gguf
