#include "text/normalizer.h"

#include <memory>
#include <optional>

#include "ddro/base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/character_category.h"
#include "text/character_class.h"
#include "text/precompiled_map.h"
#include "text/regex.h"
#include "text/unicode_normal_form.h"

namespace ddro::text {
namespace {

void replace_matches(const Pattern& pattern, const std::string& content, AlignedText& text) {
  const std::vector<Match> matches = pattern.find(text.text());
  if (matches.empty() || (matches.size() == 1 && !matches[0].matched)) return;
  Rewriter rewriter(text);
  for (const Match& match : matches) {
    const size_t size = match.span.end - match.span.begin;
    if (!match.matched) {
      rewriter.keep(size);
    } else if (size > 0) {
      rewriter.replace(size, content);
    } else {
      rewriter.insert(content);
    }
  }
  text = rewriter.finish();
}

void strip(bool left, bool right, AlignedText& text) {
  const std::string_view old = text.text();
  size_t begin = 0;
  size_t end = old.size();
  while (left && begin < end && (flags_at(old, begin) & kSpace)) begin += utf8_length(old[begin]);
  while (right && begin < end && (flags_before(old, end) & kSpace)) {
    do {
      --end;
    } while (is_utf8_continuation(old[end]));
  }
  if (begin == 0 && end == old.size()) return;
  text = text.slice({begin, end});
}

// Writes each character as `map` has it: as another one, or, for nothing, not at all.
template <typename Map>
void map_characters(const Map& map, AlignedText& text) {
  const std::string_view old = text.text();
  Rewriter rewriter(text);
  for (size_t offset = 0; offset < old.size();) {
    const size_t begin = offset;
    const char32_t code_point = next_code_point(old, offset);
    const std::optional<char32_t> mapped = map(code_point);
    if (!mapped) {
      rewriter.skip(offset - begin);
    } else if (*mapped == code_point) {
      rewriter.keep(offset - begin);
    } else {
      std::string encoded;
      append_utf8(encoded, *mapped);
      rewriter.replace(offset - begin, encoded);
    }
  }
  text = rewriter.finish();
}

template <typename Predicate>
void drop_characters(const Predicate& dropped, AlignedText& text) {
  map_characters([&](char32_t c) { return dropped(c) ? std::nullopt : std::optional(c); }, text);
}

// What sentencepiece's nmt_nfkc does before NFKC.
std::optional<char32_t> nmt(char32_t c) {
  const bool dropped =
      (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  if (dropped) return std::nullopt;
  const bool blank = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                     (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                     c == 0xFEFF || c == 0xFFFD;
  return blank ? U' ' : c;
}

std::optional<char32_t> bert_clean(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return U' ';
  if (c == 0xFFFD || is_other(c)) return std::nullopt;
  return is_space(c) ? U' ' : c;
}

// As BERT counts them; the tokenizers begin the range before the last but one at another place than Unicode.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

void put_spaces_around_chinese(AlignedText& text) {
  const std::string_view old = text.text();
  Rewriter rewriter(text);
  for (size_t offset = 0; offset < old.size();) {
    const size_t begin = offset;
    const bool chinese = is_chinese(next_code_point(old, offset));
    const std::string_view character = old.substr(begin, offset - begin);
    if (chinese) {
      rewriter.replace(character.size(), " " + std::string(character) + " ");
    } else {
      rewriter.keep(character.size());
    }
  }
  text = rewriter.finish();
}

void write_byte_characters(AlignedText& text) {
  const std::string_view old = text.text();
  Rewriter rewriter(text);
  for (size_t at = 0; at < old.size(); at = rewriter.position()) {
    const size_t length = utf8_length(old[at]);
    rewriter.replace(length, byte_characters(old.substr(at, length)));
  }
  text = rewriter.finish();
}

}  // namespace

Normalizer::Normalizer(const Component& component) { add(component); }

void Normalizer::add(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") {
    component.expect_only({"normalizers"});
    for (const Component& child : component.children("normalizers")) add(child);
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    component.expect_only({});
    const NormalForm form = type == "NFC"    ? NormalForm::kNfc
                            : type == "NFD"  ? NormalForm::kNfd
                            : type == "NFKC" ? NormalForm::kNfkc
                                             : NormalForm::kNfkd;
    steps_.emplace_back([form](AlignedText& text) { normalize(form, text); });
  } else if (type == "Lowercase") {
    component.expect_only({});
    steps_.emplace_back(lower_case);
  } else if (type == "StripAccents") {
    component.expect_only({});
    steps_.emplace_back([](AlignedText& text) { drop_characters(is_mark, text); });
  } else if (type == "Nmt") {
    component.expect_only({});
    steps_.emplace_back([](AlignedText& text) { map_characters(nmt, text); });
  } else if (type == "Precompiled") {
    component.expect_only({"precompiled_charsmap"});
    const auto map = std::make_shared<const PrecompiledMap>(component);
    steps_.emplace_back([map](AlignedText& text) { map->apply(text); });
  } else if (type == "BertNormalizer") {
    add_bert(component);
  } else if (type == "ByteLevel") {
    component.expect_only({});
    steps_.emplace_back(write_byte_characters);
  } else if (type == "Strip") {
    component.expect_only({"strip_left", "strip_right"});
    const bool left = component.flag("strip_left");
    const bool right = component.flag("strip_right");
    steps_.emplace_back([left, right](AlignedText& text) { strip(left, right, text); });
  } else if (type == "Prepend") {
    component.expect_only({"prepend"});
    const std::string prefix = component.text("prepend");
    steps_.emplace_back([prefix](AlignedText& text) { prepend(prefix, text); });
  } else if (type == "Replace") {
    component.expect_only({"pattern", "content"});
    const Pattern pattern(component, "pattern");
    const std::string content = component.text("content");
    steps_.emplace_back([pattern, content](AlignedText& text) { replace_matches(pattern, content, text); });
  } else {
    component.refuse("unknown normalizer \"" + printable(type) + "\"");
  }
}

void Normalizer::add_bert(const Component& component) {
  component.expect_only({"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  const bool lowers = component.flag("lowercase");
  if (component.flag("clean_text"))
    steps_.emplace_back([](AlignedText& text) { map_characters(bert_clean, text); });
  if (component.flag("handle_chinese_chars")) steps_.emplace_back(put_spaces_around_chinese);
  if (component.flag_or("strip_accents", lowers)) {
    steps_.emplace_back([](AlignedText& text) {
      normalize(NormalForm::kNfd, text);
      drop_characters(is_nonspacing_mark, text);
    });
  }
  if (lowers) steps_.emplace_back(lower_case);
}

void Normalizer::apply(AlignedText& text) const {
  for (const auto& step : steps_) step(text);
}

}  // namespace ddro::text
