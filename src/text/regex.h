// Patterns that split text: Oniguruma regular expressions (the engine Hugging Face's tokenizers use) and
// plain strings.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/component.h"

namespace ddro::text {

void initialize_oniguruma();

struct Match {
  Span span;
  bool matched = false;  // false: the text between matches
};

class Pattern {
 public:
  // Reads `field` of `component`: {"Regex": ...} or {"String": ...}. Error(kModel) for a bad or empty one.
  Pattern(const Component& component, const char* field);
  // A regular expression; `place` begins messages.
  Pattern(const std::string& regex, std::string place);
  // A plain, non-empty string.
  static Pattern plain(std::string text);

  // Matches and what lies between them, in order, covering `text`; a match may be empty. Error(kModel) if the
  // regular expression gives up on the text (it backtracks too much).
  std::vector<Match> find(std::string_view text) const;

  // The regular expression's source, empty for a plain string.
  const std::string& regex_source() const { return source_; }

 private:
  struct Compiled;
  Pattern() = default;
  void compile(const std::string& regex);
  void find_regex(std::string_view text, const std::function<void(Span)>& found) const;
  void find_string(std::string_view text, const std::function<void(Span)>& found) const;

  std::string place_;
  std::string source_;
  std::string string_;
  std::shared_ptr<const Compiled> compiled_;  // null for a plain string
};

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// Pieces of a text after splitting it at `matches`; may hold empty ones.
std::vector<Span> split_at(const std::vector<Match>& matches, SplitBehavior behavior);

}  // namespace ddro::text
