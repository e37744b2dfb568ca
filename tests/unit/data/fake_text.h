// Small tokenizers and templates whose behaviour can be read off the page.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ddro/data/text_source.h"

namespace ddro::data {

constexpr text::TokenId kFirstMerge = 300;
constexpr text::TokenId kFirstControl = 900;

// One id a byte (its value), except for `merges` (ids from 300, longest match wins) and `controls` (ids from
// 900). A control token is recognised where none of its bytes is literal. `prefix` goes in front of strings.
class FakeTokenizer : public text::Tokenizer {
 public:
  std::vector<std::string> merges;
  std::vector<std::string> controls;
  std::vector<text::TokenId> prefix;

  text::Encoding encode(std::string_view text, std::span<const Span> literal = {},
                        size_t cut = std::string_view::npos) const override {
    text::Encoding result;
    size_t at = 0;
    while (at < text.size()) {
      const auto [id, length] = token_at(at < cut ? text.substr(0, cut) : text, at, literal);
      result.ids.push_back(id);
      result.offsets.push_back({at, at + length});
      at += length;
    }
    return result;
  }

  std::string decode(std::span<const text::TokenId> ids, bool skip_control = false) const override {
    std::string text;
    for (const text::TokenId id : ids) {
      if (!skip_control || !is_control(id)) text += token_of(id);
    }
    return text;
  }

  std::vector<text::TokenId> prefix_ids() const override { return prefix; }
  std::vector<text::TokenId> suffix_ids() const override { return {7}; }
  text::TokenId id_limit() const override { return 1000; }
  text::TokenId id_of(std::string_view token) const override {
    for (size_t i = 0; i < controls.size(); ++i) {
      if (controls[i] == token) return kFirstControl + static_cast<text::TokenId>(i);
    }
    return -1;
  }
  std::string token_of(text::TokenId id) const override {
    if (id >= kFirstControl) return controls.at(static_cast<size_t>(id - kFirstControl));
    if (id >= kFirstMerge) return merges.at(static_cast<size_t>(id - kFirstMerge));
    return std::string(1, static_cast<char>(id));
  }
  bool is_control(text::TokenId id) const override { return id >= kFirstControl; }

  std::vector<Span> find_control_text(std::string_view text) const override {
    std::vector<Span> spans;
    for (size_t at = 0; at < text.size();) {
      const auto [id, length] = token_at(text, at, {});
      if (is_control(id)) spans.push_back({at, at + length});
      at += is_control(id) ? length : 1;
    }
    return spans;
  }

 private:
  std::pair<text::TokenId, size_t> token_at(std::string_view text, size_t at,
                                            std::span<const Span> literal) const {
    const std::string_view rest = text.substr(at);
    for (size_t i = 0; i < controls.size(); ++i) {
      const size_t end = at + controls[i].size();
      const bool is_literal = std::any_of(literal.begin(), literal.end(), [&](const Span& span) {
        return span.begin < end && at < span.end;
      });
      if (rest.starts_with(controls[i]) && !is_literal) {
        return {kFirstControl + static_cast<text::TokenId>(i), controls[i].size()};
      }
    }
    std::pair<text::TokenId, size_t> best = {static_cast<unsigned char>(text[at]), 1};
    for (size_t i = 0; i < merges.size(); ++i) {
      if (rest.starts_with(merges[i]) && merges[i].size() > best.second) {
        best = {kFirstMerge + static_cast<text::TokenId>(i), merges[i].size()};
      }
    }
    return best;
  }
};

// Builds a rendering piece by piece, marking what comes from the messages.
struct Rendering {
  text::RenderedText result;
  Rendering& own(const std::string& text) {
    result.text += text;
    return *this;
  }
  Rendering& theirs(const Json& text) {
    const size_t begin = result.text.size();
    result.text += text.get<std::string>();
    result.from_messages.push_back({begin, result.text.size()});
    return *this;
  }
};

// "<|role|>content<|end|>\n" a message; the generation prompt is "<|assistant|>".
inline text::RenderedText render_turns(const Json& messages, bool add_generation_prompt) {
  Rendering out;
  for (const Json& message : messages) {
    out.own("<|").theirs(message["role"]).own("|>").theirs(message["content"]).own("<|end|>\n");
  }
  if (add_generation_prompt) out.own("<|assistant|>");
  return out.result;
}

// A template that reads the messages alone.
using TurnRenderer = std::function<text::RenderedText(const Json& messages, bool add_generation_prompt)>;

inline TextSource text_source(const FakeTokenizer& tokenizer, const TurnRenderer& render = render_turns) {
  MessageRenderer of_messages;
  if (render) {
    of_messages = [render](const Json& messages, bool add_generation_prompt, const Json&) {
      return render(messages, add_generation_prompt);
    };
  }
  return {&tokenizer, {tokenizer.id_of("<|end|>")}, std::move(of_messages), "turns.jinja"};
}

// Control tokens of render_turns: end 900, user 901, assistant 902, system 903, begin of text 904.
inline FakeTokenizer turns_tokenizer() {
  FakeTokenizer tokenizer;
  tokenizer.controls = {"<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<s>"};
  return tokenizer;
}

inline std::vector<text::TokenId> bytes_of(const std::string& text) {
  std::vector<text::TokenId> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

// Concatenation of id lists.
inline std::vector<text::TokenId> joined(const std::vector<std::vector<text::TokenId>>& parts) {
  std::vector<text::TokenId> ids;
  for (const auto& part : parts) ids.insert(ids.end(), part.begin(), part.end());
  return ids;
}

}  // namespace ddro::data
