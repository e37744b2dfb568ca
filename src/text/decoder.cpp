#include "text/decoder.h"

#include <algorithm>
#include <utility>

#include "ddro/base/utf8.h"
#include "text/aligned_text.h"
#include "text/byte_alphabet.h"
#include "text/regex.h"

namespace ddro::text {
namespace {

using Tokens = std::vector<std::string>;

void fuse(Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  tokens.assign(1, text);
}

void decode_byte_level(Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += bytes_behind(token).value_or(token);
  tokens.assign(1, valid_utf8(bytes));
}

// Runs of byte tokens become text, or one U+FFFD a byte if they are not valid UTF-8.
void decode_byte_fallback(Tokens& tokens) {
  Tokens result;
  std::string bytes;
  const auto flush = [&] {
    if (find_invalid_utf8(bytes) != std::string::npos) {
      result.insert(result.end(), bytes.size(), "\xEF\xBF\xBD");
    } else if (!bytes.empty()) {
      result.push_back(bytes);
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    const int value = byte_fallback_value(token);
    if (value >= 0) {
      bytes.push_back(static_cast<char>(value));
    } else {
      flush();
      result.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(result);
}

void replace_in_tokens(const Pattern& pattern, const std::string& content, Tokens& tokens) {
  for (std::string& token : tokens) {
    std::string replaced;
    for (const Match& match : pattern.find(token)) {
      replaced += match.matched ? content : token.substr(match.span.begin, match.span.end - match.span.begin);
    }
    token = std::move(replaced);
  }
}

// Cuts up to `start` characters `content` from the front of each token, and up to `stop` from its end.
void strip_tokens(const std::string& content, size_t start, size_t stop, Tokens& tokens) {
  for (std::string& token : tokens) {
    size_t begin = 0;
    size_t end = token.size();
    const size_t size = content.size();
    for (size_t i = 0; i < start && token.compare(begin, size, content) == 0; ++i) begin += size;
    for (size_t i = 0; i < stop && end >= begin + size && token.compare(end - size, size, content) == 0;
         ++i) {
      end -= size;
    }
    token = token.substr(begin, end - begin);
  }
}

void decode_metaspace(const std::string& replacement, bool prepended, Tokens& tokens) {
  const Pattern pattern = Pattern::plain(replacement);
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string text;
    for (const Match& match : pattern.find(tokens[i])) {
      if (!match.matched) {
        text += tokens[i].substr(match.span.begin, match.span.end - match.span.begin);
      } else if (i > 0 || !prepended) {
        text += ' ';
      }
    }
    tokens[i] = std::move(text);
  }
}

void replace_all(std::string_view from, std::string_view to, std::string& text) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Takes out the spaces that cutting English text into words put in.
void clean_up(std::string& text) {
  constexpr std::pair<const char*, const char*> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(from, to, text);
}

void join_word_pieces(const std::string& prefix, bool cleans_up, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) tokens[i] = tokens[i].starts_with(prefix) ? tokens[i].substr(prefix.size()) : " " + tokens[i];
    if (cleans_up) clean_up(tokens[i]);
  }
}

void end_words(const std::string& suffix, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) replace_all(suffix, i + 1 < tokens.size() ? " " : "", tokens[i]);
}

struct Ctc {
  std::string pad, delimiter;
  bool cleans_up = true;

  void operator()(Tokens& tokens) const {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      replace_all(pad, "", token);
      if (!cleans_up) continue;
      clean_up(token);
      replace_all(delimiter, " ", token);
    }
    std::erase(tokens, "");
  }
};

// Text that must not be empty: it is looked for.
std::string sought_text(const Component& component, const char* field) {
  std::string text = component.text(field);
  if (text.empty()) component.refuse(std::string(field) + ": got \"\", expected a text");
  return text;
}

}  // namespace

Decoder::Decoder(const Component& component) : separator_() { add(component); }

void Decoder::add(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") {
    component.expect_only({"decoders"});
    for (const Component& child : component.children("decoders")) add(child);
  } else if (type == "ByteLevel") {
    component.expect_only({"add_prefix_space", "trim_offsets", "use_regex"});
    steps_.emplace_back(decode_byte_level);
  } else if (type == "ByteFallback") {
    component.expect_only({});
    steps_.emplace_back(decode_byte_fallback);
  } else if (type == "Fuse") {
    component.expect_only({});
    steps_.emplace_back(fuse);
  } else if (type == "Metaspace") {
    component.expect_only({"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    const std::string replacement = component.character("replacement");
    const bool prepended = component.text_or("prepend_scheme", "always") != "never" &&
                           component.flag_or("add_prefix_space", true);
    steps_.emplace_back([=](Tokens& tokens) { decode_metaspace(replacement, prepended, tokens); });
  } else if (type == "Replace") {
    component.expect_only({"pattern", "content"});
    const Pattern pattern(component, "pattern");
    const std::string content = component.text("content");
    steps_.emplace_back([=](Tokens& tokens) { replace_in_tokens(pattern, content, tokens); });
  } else if (type == "Strip") {
    component.expect_only({"content", "start", "stop"});
    const std::string content = component.character("content");
    const size_t start = component.count("start");
    const size_t stop = component.count("stop");
    steps_.emplace_back([=](Tokens& tokens) { strip_tokens(content, start, stop, tokens); });
  } else if (type == "WordPiece") {
    component.expect_only({"prefix", "cleanup"});
    const std::string prefix = component.text("prefix");
    const bool cleans_up = component.flag("cleanup");
    steps_.emplace_back([=](Tokens& tokens) { join_word_pieces(prefix, cleans_up, tokens); });
  } else if (type == "BPEDecoder") {
    component.expect_only({"suffix"});
    const std::string suffix = sought_text(component, "suffix");
    steps_.emplace_back([=](Tokens& tokens) { end_words(suffix, tokens); });
  } else if (type == "CTC") {
    component.expect_only({"pad_token", "word_delimiter_token", "cleanup"});
    steps_.emplace_back(Ctc{sought_text(component, "pad_token"),
                            sought_text(component, "word_delimiter_token"), component.flag("cleanup")});
  } else {
    component.refuse("unknown decoder \"" + printable(type) + "\"");
  }
}

std::string Decoder::decode(Tokens tokens) const {
  for (const auto& step : steps_) step(tokens);
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) text.append(i > 0 ? separator_ : "").append(tokens[i]);
  return text;
}

}  // namespace ddro::text
