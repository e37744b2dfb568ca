#include "text/ranked_bytes.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <vector>

#include "text/base64.h"
#include "text/byte_alphabet.h"
#include "text/token_model.h"

namespace ddro::text {
namespace {

constexpr const char* kLlama3Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kAdditional = "additional_special_tokens";

[[noreturn]] void refuse(const std::string& place, const std::string& what) {
  throw model_error("[" + place + "] " + what);
}

// As a parsed file has it.
Value id_value(TokenId id) { return static_cast<std::uint64_t>(id); }

class RankedBytes {
 public:
  explicit RankedBytes(std::string place) : place_(std::move(place)) {}

  void add(std::string bytes, TokenId rank) {
    if (bytes.empty()) refuse(place_, "rank " + std::to_string(rank) + ": a token without bytes");
    if (rank < 0 || rank > kMaxTokenId) refuse(place_, "a rank that cannot be a token's id");
    ranks_size_ = std::max(ranks_size_, rank + 1);
    if (!ranks_.emplace(std::move(bytes), rank).second)
      refuse(place_, "rank " + std::to_string(rank) + ": its token has another rank, too");
  }

  TokenId size() const { return ranks_size_; }

  // A BPE model whose id is a token's rank and `first_id`. Each way to cut a token into two is a merge.
  Value model(TokenId first_id) const {
    for (int byte = 0; byte < 256; ++byte) {
      if (!ranks_.contains(std::string(1, static_cast<char>(byte))))
        refuse(place_, "the byte " + std::to_string(byte) + " has no token; expected one for each");
    }
    Value vocabulary = Value::object();
    for (const auto& [bytes, rank] : ranks_) vocabulary[byte_characters(bytes)] = id_value(rank + first_id);
    return {{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", merges()}, {"ignore_merges", true}};
  }

 private:
  Value merges() const {
    using Cut = std::tuple<TokenId, TokenId, TokenId, std::string_view, std::string_view>;
    std::vector<Cut> cuts;
    for (const auto& [bytes, rank] : ranks_) {
      const std::string_view text = bytes;
      for (size_t at = 1; at < text.size(); ++at) {
        const auto left = ranks_.find(text.substr(0, at));
        const auto right = ranks_.find(text.substr(at));
        if (left != ranks_.end() && right != ranks_.end())
          cuts.emplace_back(rank, left->second, right->second, left->first, right->first);
      }
    }
    std::sort(cuts.begin(), cuts.end());
    Value result = Value::array();
    for (const auto& [rank, left_rank, right_rank, left, right] : cuts)
      result.push_back({byte_characters(left), byte_characters(right)});
    return result;
  }

  std::string place_;
  StringIds ranks_;
  TokenId ranks_size_ = 0;
};

Value tokenizer(Value model, const std::string& words, Value added_tokens) {
  const Value split = {
      {"type", "Split"}, {"pattern", {{"Regex", words}}}, {"behavior", "Isolated"}, {"invert", false}};
  const Value bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  return {{"version", "1.0"},
          {"added_tokens", std::move(added_tokens)},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}},
          {"decoder", bytes},
          {"model", std::move(model)}};
}

Value control_token(TokenId id, const std::string& content) {
  return {{"id", id_value(id)}, {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false}, {"special", true}};
}

struct Line {
  std::string bytes;
  TokenId rank = -1;
};

std::optional<Line> read_line(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto bytes = decode_base64(text.substr(0, space));
  Line line;
  const std::string_view rank = text.substr(space + 1);
  const auto [end, error] = std::from_chars(rank.data(), rank.data() + rank.size(), line.rank);
  if (!bytes || error != std::errc() || end != rank.data() + rank.size()) return std::nullopt;
  line.bytes = *bytes;
  return line;
}

TokenId read_count(const Component& config, const char* field) {
  const size_t count = config.count(field);
  if (count > static_cast<size_t>(kMaxTokenId)) config.refuse(std::string(field) + ": more tokens than ids");
  return static_cast<TokenId>(count);
}

// Those that the file lists, else those of the oldest files, which list none; each up to `count` has a name.
std::vector<std::string> control_names(const Component& root, TokenId count) {
  std::vector<std::string> names;
  for (TokenId id = 0; id < count; ++id) names.push_back("<SPECIAL_" + std::to_string(id) + ">");
  const auto name = [&](TokenId id, const std::string& content) {
    if (id < 0 || id >= count)
      root.refuse("special_tokens: rank " + std::to_string(id) + " is none of the " + std::to_string(count) +
                  " that config.default_num_special_tokens has");
    names[static_cast<size_t>(id)] = content;
  };
  if (!root.has("special_tokens")) {
    TokenId id = 0;
    for (const char* content : {"<unk>",
                                "<s>",
                                "</s>",
                                "[INST]",
                                "[/INST]",
                                "[AVAILABLE_TOOLS]",
                                "[/AVAILABLE_TOOLS]",
                                "[TOOL_RESULTS]",
                                "[/TOOL_RESULTS]",
                                "[TOOL_CALLS]",
                                "[IMG]",
                                "<pad>",
                                "[IMG_BREAK]",
                                "[IMG_END]",
                                "[PREFIX]",
                                "[MIDDLE]",
                                "[SUFFIX]",
                                "[SYSTEM_PROMPT]",
                                "[/SYSTEM_PROMPT]",
                                "[TOOL_CONTENT]"})
      name(id++, content);
    return names;
  }
  for (const Component& token : root.children("special_tokens"))
    name(token.id("rank"), token.text("token_str"));
  return names;
}

}  // namespace

bool is_tiktoken(std::string_view content) {
  const std::string_view start = content.substr(0, 200);  // the first tokens are single bytes
  const size_t end = start.find('\n');
  return end != std::string_view::npos && read_line(start.substr(0, end)).has_value();
}

Value convert_tiktoken(const gguf::ModelFiles& files, const TokenizerConfig& config) {
  const std::string file = "tokenizer.model", place = files.place(file);
  const std::string text = files.read(file);
  RankedBytes tokens(place);
  size_t number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto line = read_line(std::string_view(text).substr(begin, end - begin));
    if (!line)
      refuse(place + ":" + std::to_string(number),
             "expected base64 of a token's bytes, a space and its rank");
    tokens.add(line->bytes, line->rank);
    begin = end + 1;
  }
  Value added = Value::array();
  TokenId id = tokens.size();
  for (const NamedToken& named : config.named) {
    if (named.name == kAdditional) added.push_back(control_token(id++, named.token.content));
  }
  return tokenizer(tokens.model(0), kLlama3Words, std::move(added));
}

Value convert_tekken(const gguf::ModelFiles& files) {
  const std::string file = "tekken.json", place = files.place(file);
  const Value json = read_large_json(files, file);
  const Component root(json, place);
  const Component config = root.child("config");
  const TokenId num_control = read_count(config, "default_num_special_tokens");
  const TokenId num_tokens = read_count(config, "default_vocab_size") - num_control;
  RankedBytes tokens(place);
  for (const Component& entry : root.children("vocab")) {
    const TokenId rank = entry.id("rank");
    if (rank >= num_tokens) continue;
    const auto bytes = decode_base64(entry.text("token_bytes"));
    if (!bytes) entry.refuse("token_bytes: not base64");
    tokens.add(*bytes, rank);
  }
  Value added = Value::array();
  Value model = tokens.model(num_control);
  TokenId id = 0;
  for (const std::string& name : control_names(root, num_control)) {
    model["vocab"][name] = id_value(id);
    added.push_back(control_token(id++, name));
  }
  return tokenizer(std::move(model), config.text("pattern"), std::move(added));
}

}  // namespace ddro::text
