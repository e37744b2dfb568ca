// Hand-written scanners for the regular expressions of the most common tokenizers, in linear time and
// constant memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::text {

// The regular expression behind ByteLevel's `use_regex`.
extern const char* const kGpt2Pattern;

// How the pattern groups characters; every text is covered by its matches.
enum class WordPattern {
  kGpt2,    // contraction, or letters, digits, others each with an optional space in front, or white space
  kLlama3,  // as kGpt2, but one other character may lead letters, digits go in threes, line ends stay
            // together
  kQwen2,   // kLlama3 with single digits
};

// The scanner that is equal to `regex`, if there is one.
std::optional<WordPattern> known_pattern(std::string_view regex);

// The matches of the pattern in `text` (valid UTF-8), in order.
void scan_words(WordPattern pattern, std::string_view text, std::vector<Span>& words);

}  // namespace ddro::text
