#include "text/decoder.h"

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

std::string one_character(const Component& component, const char* field) {
  const std::string text = component.text(field);
  if (text.empty() || utf8_length(text[0]) != text.size()) {
    component.refuse(std::string(field) + ": got \"" + printable(text) + "\", expected one character");
  }
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
    const std::string replacement = one_character(component, "replacement");
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
    const std::string content = one_character(component, "content");
    const size_t start = component.count("start");
    const size_t stop = component.count("stop");
    steps_.emplace_back([=](Tokens& tokens) { strip_tokens(content, start, stop, tokens); });
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
