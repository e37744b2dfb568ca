#include "text/convert_sentencepiece.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "ddro/base/utf8.h"
#include "text/aligned_text.h"
#include "text/token_model.h"

namespace ddro::text {
namespace {

constexpr const char* kSpace = "\u2581";

using Type = SentencePieceModel::Type;
using Pieces = std::vector<SentencePieceModel::Piece>;

// The first three go by the names that the files give them.
Pieces llama_pieces(const SentencePieceModel& model, const TokenizerConfig& config) {
  Pieces pieces = model.pieces;
  for (TokenId id = 0; id < 3; ++id) {
    SentencePieceModel::Piece& piece = pieces[static_cast<size_t>(id)];
    const auto listed = config.added.find(id);
    if (listed != config.added.end()) piece.text = listed->second.content;
    piece.score = 0;
  }
  return pieces;
}

// Likewise; older models lack a piece for the tabulator, which then takes its byte's place.
Pieces gemma_pieces(const SentencePieceModel& model, const TokenizerConfig& config) {
  Pieces pieces = model.pieces;
  const char* const names[] = {"pad_token", "eos_token", "bos_token"};
  for (size_t id = 0; id < 3; ++id) {
    pieces[id].text = config.text_of(names[id]);
    pieces[id].score = 0;
  }
  const auto find = [&](std::string_view text) {
    return std::find_if(pieces.begin(), pieces.end(), [&](const auto& piece) { return piece.text == text; });
  };
  const auto byte = find("<0x09>");
  if (find("\t") == pieces.end() && byte != pieces.end()) {
    byte->text = "\t";
    byte->score = 0;
  }
  return pieces;
}

struct Cut {
  std::string_view left, right;
  size_t left_length, right_length;  // characters
  float score;
};

// The ways to cut `piece` into two that are pieces, by the ids of the parts.
void append_cuts(const SentencePieceModel::Piece& piece, const StringIds& ids, std::vector<Cut>& cuts) {
  struct Ranked {
    Cut cut;
    std::pair<TokenId, TokenId> rank;
  };
  std::vector<Ranked> found;
  const std::string_view text = piece.text;
  const auto length = static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !is_utf8_continuation(byte); }));
  size_t characters = 1;
  for (size_t at = utf8_length(text[0]); at < text.size(); at += utf8_length(text[at]), ++characters) {
    const auto left = ids.find(text.substr(0, at));
    const auto right = ids.find(text.substr(at));
    if (left == ids.end() || right == ids.end()) continue;
    found.push_back({{left->first, right->first, characters, length - characters, piece.score},
                     {left->second, right->second}});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
  for (const Ranked& entry : found) cuts.push_back(entry.cut);
}

// Of the pieces in the order of the first of each text, with the score of the last one.
Value merges_of(const Pieces& pieces, const StringIds& ids) {
  std::unordered_map<std::string_view, float> scores;
  for (const auto& piece : pieces) scores[piece.text] = piece.score;
  std::vector<Cut> cuts;
  for (SentencePieceModel::Piece piece : pieces) {
    const auto score = scores.find(piece.text);
    if (score == scores.end()) continue;
    piece.score = score->second;
    append_cuts(piece, ids, cuts);
    scores.erase(score);
  }
  std::stable_sort(cuts.begin(), cuts.end(), [](const Cut& a, const Cut& b) {
    return std::tie(b.score, b.left_length, b.right_length) <
           std::tie(a.score, a.left_length, a.right_length);
  });
  Value merges = Value::array();
  for (const Cut& cut : cuts) merges.push_back({cut.left, cut.right});
  return merges;
}

Value bpe_model(const Pieces& pieces, const SentencePieceModel& model, bool is_gemma) {
  StringIds stored;  // what a merge may take together
  for (size_t i = 0; i < model.pieces.size(); ++i) stored[model.pieces[i].text] = static_cast<TokenId>(i);
  const auto byte = stored.find("<0x09>");
  if (is_gemma && byte != stored.end()) stored.emplace("\t", byte->second);
  Value vocabulary = Value::object();
  for (size_t i = 0; i < pieces.size(); ++i) vocabulary[pieces[i].text] = i;
  return {{"type", "BPE"},
          {"vocab", std::move(vocabulary)},
          {"merges", merges_of(pieces, stored)},
          {"unk_token", model.unknown},
          {"fuse_unk", true},
          {"byte_fallback", true}};
}

Value unigram_model(const Pieces& pieces, size_t unknown) {
  Value vocabulary = Value::array();
  for (const auto& piece : pieces) vocabulary.push_back({piece.text, piece.score});
  return {
      {"type", "Unigram"}, {"vocab", std::move(vocabulary)}, {"unk_id", unknown}, {"byte_fallback", true}};
}

Value added_tokens(const SentencePieceModel& model, bool is_gemma) {
  Value result = Value::array();
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const auto& piece = model.pieces[i];
    if (piece.type != Type::kControl && piece.type != Type::kUserDefined) continue;
    const bool is_turn = is_gemma && (piece.text == "<start_of_turn>" || piece.text == "<end_of_turn>");
    result.push_back({{"id", i},
                      {"content", piece.text},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", piece.type == Type::kControl || is_turn}});
  }
  return result;
}

Value sequence(const char* parts, Value steps) { return {{"type", "Sequence"}, {parts, std::move(steps)}}; }

Value replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

Value decoder(bool strips_first) {
  Value steps = Value::array({replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (strips_first) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1u}, {"stop", 0u}});
  return sequence("decoders", std::move(steps));
}

void add_llama_spaces(bool prefix_space, bool legacy, Value& json) {
  json["decoder"] = decoder(prefix_space);
  if (legacy) {
    Value steps = Value::array();
    if (prefix_space) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    steps.push_back(replace(" ", kSpace));
    json["normalizer"] = sequence("normalizers", std::move(steps));
  } else {
    json["pre_tokenizer"] = {{"type", "Metaspace"},
                             {"replacement", kSpace},
                             {"prepend_scheme", prefix_space ? "first" : "never"},
                             {"split", false}};
  }
}

void add_gemma_spaces(Value& json) {
  json["decoder"] = decoder(false);
  json["normalizer"] = replace(" ", kSpace);
  json["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"String", " "}}},
                           {"behavior", "MergedWithPrevious"},
                           {"invert", false}};
}

}  // namespace

Value convert_sentencepiece(const SentencePieceModel& model, const TokenizerConfig& config) {
  const std::string_view name = config.tokenizer_class->name;
  const bool is_gemma = name == "GemmaTokenizer", is_internlm2 = name == "InternLM2Tokenizer";
  if (!is_gemma && !is_internlm2 && name != "LlamaTokenizer" && name != "CodeLlamaTokenizer") {
    throw model_error("[" + config.place +
                      "] tokenizer_class: expected LlamaTokenizer, CodeLlamaTokenizer, InternLM2Tokenizer or "
                      "GemmaTokenizer for "
                      "a tokenizer.model; a tokenizer.json is read for any class");
  }
  const Pieces pieces = is_gemma ? gemma_pieces(model, config) : llama_pieces(model, config);
  Value json = {{"version", "1.0"}, {"added_tokens", added_tokens(model, is_gemma)}};
  json["model"] = model.is_bpe ? bpe_model(pieces, model, is_gemma) : unigram_model(pieces, is_gemma ? 3 : 0);
  if (is_gemma) {
    add_gemma_spaces(json);
  } else if (is_internlm2) {
    add_llama_spaces(model.adds_space, true, json);
  } else {
    add_llama_spaces(config.prefix_space, config.legacy, json);
  }
  return json;
}

}  // namespace ddro::text
