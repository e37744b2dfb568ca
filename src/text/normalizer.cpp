#include "text/normalizer.h"

#include "ddro/base/utf8.h"
#include "text/character_class.h"
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

void Normalizer::apply(AlignedText& text) const {
  for (const auto& step : steps_) step(text);
}

}  // namespace ddro::text
