#include "ddro/text/gguf_tokenizer.h"

#include <algorithm>
#include <iterator>

#include "ddro/base/error.h"
#include "ddro/gguf/word_rules.h"
#include "text/ranked_bytes.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_config.h"

namespace ddro::text {
namespace {

// tokenizer.ggml.token_type.
enum Kind : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

constexpr float kScoreOfAdded = -1000;

// Words, digits, white space and letters of every width: what tokenizers differ in.
constexpr const char* kProbe =
    "The 3 cats' 1234567 toys, don't they?  \t\n\n   if (x_1 >= 10) { return \"na\u00efve caf\u00e9\"; }\r\n"
    "e\u0301 \u4e2d\u6587\u5b57\u7b26 \u0420\u0443\u0441\u0441\u043a\u0438\u0439 "
    "\U0001F600\U0001F44D\U0001F3FD "
    "WE'LL I'm\u00a0here...   ";

struct Tokens {
  std::vector<std::string> texts;
  std::vector<std::int32_t> kinds;
  std::vector<float> scores;  // of sentencepiece's

  void fill(size_t count) {
    for (size_t id = texts.size(); id < count; ++id) {
      texts.push_back("[PAD" + std::to_string(id) + "]");
      kinds.push_back(kUnused);
      scores.push_back(kScoreOfAdded);
    }
  }
  void set(size_t id, const std::string& text, std::int32_t kind) {
    fill(id + 1);
    texts[id] = text;
    kinds[id] = kind;
  }
};

[[noreturn]] void refuse(const std::string& what) {
  throw input_error("[export] the tokenizer cannot be said in a GGUF file: " + what);
}

std::int32_t kind_of(const AddedToken& token) {
  if (token.lstrip || token.rstrip || token.single_word)
    refuse("the added token " + printable(token.content) + " takes or needs what is beside it");
  return token.special ? kControl : kUserDefined;
}

void add_tokens(GgufWriter& writer, const std::string& model, const std::string& pre, const Tokens& tokens) {
  writer.add_text("tokenizer.ggml.model", model);
  writer.add_text("tokenizer.ggml.pre", pre);
  writer.add_texts("tokenizer.ggml.tokens", tokens.texts);
  writer.add_integers("tokenizer.ggml.token_type", tokens.kinds);
}

std::vector<std::string> merges_of(const nlohmann::json& model) {
  std::vector<std::string> merges;
  const auto text_of = [](const nlohmann::json& merge) {
    return merge.is_string() ? merge.get<std::string>()
                             : merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>();
  };
  for (const nlohmann::json& merge : model.at("merges")) merges.push_back(text_of(merge));
  return merges;
}

// `words`: the name of how it cuts text.
void add_byte_pairs(GgufWriter& writer, const nlohmann::json& tokenizer, const std::string& words,
                    const TokenizerConfig& config, size_t vocab_size) {
  Tokens tokens;
  for (const auto& [text, id] : tokenizer.at("model").at("vocab").items())
    tokens.set(id.get<size_t>(), text, kNormal);
  for (const nlohmann::json& entry : tokenizer.value("added_tokens", nlohmann::json::array())) {
    const AddedToken token{.content = entry.at("content").get<std::string>(),
                           .id = entry.at("id").get<TokenId>(),
                           .single_word = entry.value("single_word", false),
                           .lstrip = entry.value("lstrip", false),
                           .rstrip = entry.value("rstrip", false),
                           .special = entry.value("special", false)};
    tokens.set(static_cast<size_t>(token.id), token.content, kind_of(token));
  }
  for (const auto& [id, token] : config.added)
    tokens.set(static_cast<size_t>(id), token.content, kind_of(token));
  tokens.fill(vocab_size);
  add_tokens(writer, "gpt2", words, tokens);
  writer.add_texts("tokenizer.ggml.merges", merges_of(tokenizer.at("model")));
}

void add_pieces(GgufWriter& writer, const SentencePieceModel& model, const TokenizerConfig& config,
                size_t vocab_size) {
  if (!model.is_bpe) refuse("its sentencepiece model is a unigram model; expected one of BPE");
  Tokens tokens;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    tokens.set(id, model.pieces[id].text, static_cast<std::int32_t>(model.pieces[id].type));
    tokens.scores[id] = model.pieces[id].score;
  }
  for (const auto& [id, token] : config.added) {
    if (static_cast<size_t>(id) >= model.pieces.size())
      tokens.set(static_cast<size_t>(id), token.content, kind_of(token));
  }
  tokens.fill(vocab_size);
  add_tokens(writer, "llama", "default", tokens);
  writer.add_numbers("tokenizer.ggml.scores", tokens.scores);
  const bool is_gemma = config.tokenizer_class->name == "GemmaTokenizer";
  writer.add_flag("tokenizer.ggml.add_space_prefix", config.prefix_space && !is_gemma);
}

void add_id(GgufWriter& writer, const std::string& role, TokenId id) {
  writer.add_integer("tokenizer.ggml." + role + "_token_id", static_cast<std::uint32_t>(id));
}

void add_roles(GgufWriter& writer, const ModelText& text) {
  for (const auto& [name, role] : {std::pair("bos_token", "bos"), std::pair("unk_token", "unknown"),
                                   std::pair("pad_token", "padding")}) {
    const Json token = text.template_variables.value(name, Json());
    if (token.is_string()) add_id(writer, role, text.tokenizer->id_of(token.get<std::string>()));
  }
  const char* const ends[] = {"eos", "eot", "eom"};
  for (size_t i = 0; i < std::min(std::size(ends), text.end_ids.size()); ++i)
    add_id(writer, ends[i], text.end_ids[i]);
  writer.add_flag("tokenizer.ggml.add_bos_token", !text.tokenizer->prefix_ids().empty());
  writer.add_flag("tokenizer.ggml.add_eos_token", !text.tokenizer->suffix_ids().empty());
}

std::string template_of(const ModelText& text) {
  return text.chat_template ? text.chat_template->source() : "";
}

}  // namespace

void add_gguf_tokenizer(GgufWriter& writer, const gguf::ModelFiles& files, const ModelText& text,
                        std::int64_t vocab_size) {
  const auto count = static_cast<size_t>(vocab_size);
  if (text.tokenizer->id_limit() > vocab_size)
    refuse("it has " + std::to_string(text.tokenizer->id_limit()) + " ids; the model has " +
           std::to_string(vocab_size));
  const TokenizerConfig config = read_tokenizer_config(files);
  // Not in the order of its keys, which takes too long with that many; `text` was made of it.
  const nlohmann::json json =
      files.has("tokenizer.json") ? nlohmann::json::parse(files.read("tokenizer.json")) : nlohmann::json();
  const auto words = json.is_object() ? gguf::name_of_word_rules(json) : std::nullopt;
  if (words) {
    add_byte_pairs(writer, json, *words, config, count);
  } else if (files.has("tokenizer.model") && !is_tiktoken(files.read("tokenizer.model"))) {
    add_pieces(writer, read_sentencepiece_model(files), config, count);
  } else {
    refuse("there is no name for how it cuts text into words, and no sentencepiece model");
  }
  add_roles(writer, text);
  if (text.chat_template) writer.add_text("tokenizer.chat_template", template_of(text));
}

void check_gguf_tokenizer(const GgufFile& file, const ModelText& text) {
  const ModelText read = load_model_text(file.path(), std::nullopt);
  if (template_of(read) != template_of(text) || read.end_ids.front() != text.end_ids.front())
    refuse("its template or end token is read as another");
  if (read.tokenizer->prefix_ids() != text.tokenizer->prefix_ids() ||
      read.tokenizer->suffix_ids() != text.tokenizer->suffix_ids())
    refuse("what it puts around a text is read as something else");
  for (const std::string& probe : {std::string(kProbe), template_of(text)}) {
    if (read.tokenizer->encode(probe).ids != text.tokenizer->encode(probe).ids)
      refuse("llama.cpp's rules give other ids");
  }
}

}  // namespace ddro::text
