#include "text/regex.h"

#include <oniguruma.h>

#include <algorithm>
#include <mutex>

#include "text/aligned_text.h"
#include "text/character_class.h"

namespace ddro::text {
namespace {

// Steps back that one search may take before the pattern is given up: seconds.
constexpr unsigned long kMaxRetries = 100'000'000;

std::string describe(int code, const OnigErrorInfo* info = nullptr) {
  OnigUChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length =
      info ? onig_error_code_to_str(message, code, info) : onig_error_code_to_str(message, code);
  return printable(
      std::string(reinterpret_cast<const char*>(message), static_cast<size_t>(std::max(length, 0))));
}

const OnigUChar* bytes_of(std::string_view text) { return reinterpret_cast<const OnigUChar*>(text.data()); }

}  // namespace

void initialize_oniguruma() {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
  });
}

struct Pattern::Compiled {
  regex_t* regex = nullptr;
  OnigMatchParam* limits = nullptr;
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    onig_free(regex);
    onig_free_match_param(limits);
  }
};

Pattern::Pattern(const Component& component, const char* field) : place_(component.place() + "." + field) {
  const Component pattern = component.child(field);
  if (pattern.value().size() != 1) pattern.refuse("expected one field, \"Regex\" or \"String\"");
  pattern.expect_only({"Regex", "String"});
  if (pattern.has("Regex")) {
    compile(pattern.text("Regex"));
  } else {
    string_ = pattern.text("String");
    if (string_.empty()) pattern.refuse("the string to look for is empty");
  }
}

Pattern::Pattern(const std::string& regex, std::string place) : place_(std::move(place)) { compile(regex); }

Pattern Pattern::plain(std::string text) {
  Pattern pattern;
  pattern.string_ = std::move(text);
  return pattern;
}

void Pattern::compile(const std::string& regex) {
  initialize_oniguruma();
  source_ = regex;
  auto compiled = std::make_shared<Compiled>();
  OnigErrorInfo info;
  const OnigUChar* begin = bytes_of(regex);
  const int code = onig_new(&compiled->regex, begin, begin + regex.size(), ONIG_OPTION_NONE,
                            ONIG_ENCODING_UTF8, OnigDefaultSyntax, &info);
  if (code != ONIG_NORMAL) {
    compiled->regex = nullptr;
    throw model_error("[" + place_ + "] bad regular expression \"" + printable(regex) +
                      "\": " + describe(code, &info));
  }
  compiled->limits = onig_new_match_param();
  onig_initialize_match_param(compiled->limits);
  onig_set_retry_limit_in_match_of_match_param(compiled->limits, kMaxRetries);
  onig_set_retry_limit_in_search_of_match_param(compiled->limits, kMaxRetries);
  compiled_ = std::move(compiled);
}

void Pattern::find_regex(std::string_view text, const std::function<void(Span)>& found) const {
  std::string storage;
  const std::string_view subject = with_known_characters(text, storage);
  const OnigUChar* begin = bytes_of(subject);
  const OnigUChar* end = begin + subject.size();
  const std::unique_ptr<OnigRegion, void (*)(OnigRegion*)> region(
      onig_region_new(), [](OnigRegion* owned) { onig_region_free(owned, 1); });
  size_t position = 0;
  size_t last_end = std::string_view::npos;
  while (position <= subject.size()) {
    const int result = onig_search_with_param(compiled_->regex, begin, end, begin + position, end,
                                              region.get(), ONIG_OPTION_NONE, compiled_->limits);
    if (result == ONIG_MISMATCH) return;
    if (result < 0) {
      throw model_error("[" + place_ + "] the regular expression gave up on a text of " +
                        std::to_string(text.size()) + " bytes: " + describe(result));
    }
    const Span match{static_cast<size_t>(region->beg[0]), static_cast<size_t>(region->end[0])};
    // An empty match right behind another is no match: go on at the next character.
    if (match.begin == match.end && match.end == last_end) {
      position += position < subject.size() ? utf8_length(subject[position]) : 1;
      continue;
    }
    position = last_end = match.end;
    found(match);
  }
}

void Pattern::find_string(std::string_view text, const std::function<void(Span)>& found) const {
  for (size_t at = text.find(string_); at != std::string_view::npos; at = text.find(string_, at)) {
    found({at, at + string_.size()});
    at += string_.size();
  }
}

std::vector<Match> Pattern::find(std::string_view text) const {
  std::vector<Match> result;
  size_t end = 0;
  const auto found = [&](Span match) {
    if (end != match.begin) result.push_back({{end, match.begin}, false});
    result.push_back({match, true});
    end = match.end;
  };
  if (!text.empty()) {
    compiled_ ? find_regex(text, found) : find_string(text, found);
  }
  if (end != text.size()) result.push_back({{end, text.size()}, false});
  return result;
}

std::vector<Span> split_at(const std::vector<Match>& matches, SplitBehavior behavior) {
  std::vector<Span> result;
  bool previous = false;
  const auto merge_forwards = [&](const Match& match) {
    const bool joins =
        behavior == SplitBehavior::kContiguous ? match.matched == previous : match.matched && !previous;
    previous = match.matched;
    if (joins && !result.empty()) {
      result.back().end = match.span.end;
    } else {
      result.push_back(match.span);
    }
  };
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Match& match : matches) {
        if (!match.matched) result.push_back(match.span);
      }
      break;
    case SplitBehavior::kIsolated:
      for (const Match& match : matches) result.push_back(match.span);
      break;
    case SplitBehavior::kContiguous:
    case SplitBehavior::kMergedWithPrevious:
      for (const Match& match : matches) merge_forwards(match);
      break;
    case SplitBehavior::kMergedWithNext:
      for (auto match = matches.rbegin(); match != matches.rend(); ++match) {
        if (match->matched && !previous && !result.empty()) {
          result.back().begin = match->span.begin;
        } else {
          result.push_back(match->span);
        }
        previous = match->matched;
      }
      std::reverse(result.begin(), result.end());
      break;
  }
  return result;
}

}  // namespace ddro::text
