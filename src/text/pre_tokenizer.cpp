#include "text/pre_tokenizer.h"

#include <utility>

#include "ddro/base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/character_category.h"
#include "text/character_class.h"
#include "text/character_script.h"
#include "text/regex.h"
#include "text/word_scanner.h"

namespace ddro::text {
namespace {

// Replaces each piece by the non-empty pieces that `cut` appends for its text.
template <typename Cut>
void split_pieces(Pieces& pieces, const Cut& cut) {
  pieces.next_spans.clear();
  for (const Span piece : pieces.spans) {
    pieces.parts.clear();
    cut(pieces.text.text().substr(piece.begin, piece.end - piece.begin), pieces.parts);
    for (const Span part : pieces.parts) {
      if (part.begin < part.end)
        pieces.next_spans.push_back({piece.begin + part.begin, piece.begin + part.end});
    }
  }
  std::swap(pieces.spans, pieces.next_spans);
}

// Matches of single characters.
template <typename Predicate>
std::vector<Match> find_characters(std::string_view text, const Predicate& is_match) {
  std::vector<Match> matches;
  size_t end = 0;
  for (size_t offset = 0; offset < text.size();) {
    const size_t begin = offset;
    if (!is_match(next_code_point(text, offset))) continue;
    if (end < begin) matches.push_back({{end, begin}, false});
    matches.push_back({{begin, offset}, true});
    end = offset;
  }
  if (end < text.size()) matches.push_back({{end, text.size()}, false});
  return matches;
}

bool is_number(char32_t c) { return (character_flags(c) & kNumber) != 0; }
bool is_word(char32_t c) { return (character_flags(c) & kWord) != 0; }

// Rewrites each piece with `rewrite(text, rewriter, piece)`, which reads exactly the piece.
template <typename Rewrite>
void rewrite_pieces(Pieces& pieces, const Rewrite& rewrite) {
  Rewriter rewriter(pieces.text);
  std::vector<Span> result;
  size_t written = 0;
  for (const Span piece : pieces.spans) {
    rewriter.skip(piece.begin - rewriter.position());
    const size_t begin = written;
    written += rewrite(pieces.text, rewriter, piece);
    result.push_back({begin, written});
  }
  rewriter.skip(pieces.text.text().size() - rewriter.position());
  pieces.text = rewriter.finish();
  pieces.spans = std::move(result);
}

size_t write_byte_characters(const AlignedText& text, Rewriter& rewriter, Span piece) {
  const std::string_view old = text.text();
  size_t written = 0;
  for (size_t at = piece.begin; at < piece.end;) {
    const size_t length = utf8_length(old[at]);
    const std::string characters = byte_characters(old.substr(at, length));
    rewriter.replace(length, characters);
    written += characters.size();
    at += length;
  }
  return written;
}

// Runs of one script. What has none goes with the text before it; in front of all it is dropped.
void cut_at_scripts(std::string_view text, std::vector<Span>& parts) {
  std::uint8_t last = kAnyScript;
  for (size_t offset = 0; offset < text.size();) {
    const size_t begin = offset;
    const std::uint8_t script = joined_script_of(next_code_point(text, offset));
    if (script == kAnyScript || script == last) continue;
    if (!parts.empty()) parts.back().end = begin;
    parts.push_back({begin, text.size()});
    last = script;
  }
}

enum class PrependScheme { kFirst, kNever, kAlways };

struct Metaspace {
  std::string replacement;
  PrependScheme scheme = PrependScheme::kAlways;

  size_t operator()(const AlignedText& text, Rewriter& rewriter, Span piece) const {
    const std::string_view old = text.text().substr(piece.begin, piece.end - piece.begin);
    const bool leads = old[0] == ' ' || old.substr(0, replacement.size()) == replacement;
    const bool begins = !(text.continues() && piece.begin == 0);
    const bool wanted = begins && (scheme == PrependScheme::kAlways ||
                                   (scheme == PrependScheme::kFirst && text.origin(piece).begin == 0));
    size_t written = 0;
    for (size_t at = 0; at < old.size();) {
      const size_t length = utf8_length(old[at]);
      std::string with(at == 0 && !leads && wanted ? replacement : "");
      with += old[at] == ' ' ? std::string_view(replacement) : old.substr(at, length);
      rewriter.replace(length, with);
      written += with.size();
      at += length;
    }
    return written;
  }
};

SplitBehavior parse_behavior(const Component& component) {
  const std::string name = component.text_or("behavior", "Isolated");
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  component.refuse("unknown behavior \"" + printable(name) + "\"");
}

}  // namespace

PreTokenizer::PreTokenizer(const Component& component, bool leaves_bytes) { add(component, leaves_bytes); }

void PreTokenizer::apply(Pieces& pieces) const {
  for (const Step& step : steps_) step(pieces);
}

template <typename Predicate>
void PreTokenizer::add_cut(const Predicate& is_match, SplitBehavior behavior) {
  steps_.emplace_back([is_match, behavior](Pieces& pieces) {
    split_pieces(pieces, [&](std::string_view text, std::vector<Span>& parts) {
      parts = split_at(find_characters(text, is_match), behavior);
    });
  });
}

void PreTokenizer::add(const Component& component, bool leaves_bytes) {
  const std::string type = component.type();
  if (type == "Sequence") {
    component.expect_only({"pretokenizers"});
    const std::vector<Component> children = component.children("pretokenizers");
    for (size_t i = 0; i < children.size(); ++i) add(children[i], leaves_bytes && i + 1 == children.size());
  } else if (type == "ByteLevel") {
    add_byte_level(component, leaves_bytes);
  } else if (type == "Split") {
    add_split(component);
  } else if (type == "Metaspace") {
    add_metaspace(component);
  } else if (type == "FixedLength") {
    add_fixed_length(component);
  } else {
    add_character_cuts(component, type);
  }
}

// Those that look at one character at a time.
void PreTokenizer::add_character_cuts(const Component& component, const std::string& type) {
  if (type == "Digits") {
    component.expect_only({"individual_digits"});
    add_cut(is_number,
            component.flag("individual_digits") ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  } else if (type == "Punctuation") {
    component.expect_only({"behavior"});
    add_cut(is_punctuation, parse_behavior(component));
  } else if (type == "CharDelimiterSplit") {
    component.expect_only({"delimiter"});
    const std::string delimiter = component.character("delimiter");
    size_t offset = 0;
    add_cut([wanted = next_code_point(delimiter, offset)](char32_t c) { return c == wanted; },
            SplitBehavior::kRemoved);
  } else if (type == "WhitespaceSplit") {
    component.expect_only({});
    add_cut(is_space, SplitBehavior::kRemoved);
  } else if (type == "Whitespace") {
    component.expect_only({});
    // Words, and runs of what is neither word nor white space; both are what WhitespaceSplit leaves, cut at
    // words.
    add_cut(is_space, SplitBehavior::kRemoved);
    add_cut(is_word, SplitBehavior::kContiguous);
  } else if (type == "BertPreTokenizer") {
    component.expect_only({});
    add_cut(is_space, SplitBehavior::kRemoved);
    add_cut(is_punctuation, SplitBehavior::kIsolated);
  } else if (type == "UnicodeScripts") {
    component.expect_only({});
    steps_.emplace_back([](Pieces& pieces) { split_pieces(pieces, cut_at_scripts); });
  } else {
    component.refuse("unknown pre-tokenizer \"" + printable(type) + "\"");
  }
}

void PreTokenizer::add_fixed_length(const Component& component) {
  component.expect_only({"length"});
  const size_t length = component.has("length") ? component.count("length") : 5;
  if (length == 0) component.refuse("length: got 0, expected at least 1");
  steps_.emplace_back([length](Pieces& pieces) {
    split_pieces(pieces, [&](std::string_view text, std::vector<Span>& parts) {
      for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
        for (size_t i = 0; i < length && end < text.size(); ++i) end += utf8_length(text[end]);
        parts.push_back({begin, end});
      }
    });
  });
}

void PreTokenizer::add_byte_level(const Component& component, bool leaves_bytes) {
  component.expect_only({"add_prefix_space", "trim_offsets", "use_regex"});
  component.flag("trim_offsets");
  if (component.flag("add_prefix_space")) {
    steps_.emplace_back([](Pieces& pieces) {
      rewrite_pieces(pieces, [](const AlignedText& text, Rewriter& rewriter, Span piece) {
        const std::string_view old = text.text().substr(piece.begin, piece.end - piece.begin);
        const size_t first = utf8_length(old[0]);
        const bool wanted = old[0] != ' ' && !(text.continues() && piece.begin == 0);
        rewriter.replace(first, std::string(wanted ? " " : "").append(old.substr(0, first)));
        rewriter.keep(old.size() - first);
        return old.size() + (wanted ? 1 : 0);
      });
    });
  }
  if (component.flag_or("use_regex", true)) {
    steps_.emplace_back([](Pieces& pieces) {
      split_pieces(pieces, [](std::string_view text, std::vector<Span>& parts) {
        scan_words(WordPattern::kGpt2, text, parts);
      });
    });
  }
  if (leaves_bytes) {
    ends_in_bytes_ = true;
  } else {
    steps_.emplace_back([](Pieces& pieces) { rewrite_pieces(pieces, write_byte_characters); });
  }
}

void PreTokenizer::add_split(const Component& component) {
  component.expect_only({"pattern", "behavior", "invert"});
  const Pattern pattern(component, "pattern");
  const SplitBehavior behavior = parse_behavior(component);
  const bool invert = component.flag("invert");
  const auto known = known_pattern(pattern.regex_source());
  // A known pattern covers the whole text, so isolating its matches is the scanner's result.
  if (known && behavior == SplitBehavior::kIsolated) {
    steps_.emplace_back([pattern = *known](Pieces& pieces) {
      split_pieces(
          pieces, [&](std::string_view text, std::vector<Span>& parts) { scan_words(pattern, text, parts); });
    });
    return;
  }
  steps_.emplace_back([pattern, behavior, invert](Pieces& pieces) {
    split_pieces(pieces, [&](std::string_view text, std::vector<Span>& parts) {
      std::vector<Match> matches = pattern.find(text);
      for (Match& match : matches) match.matched = match.matched != invert;
      parts = split_at(matches, behavior);
    });
  });
}

void PreTokenizer::add_metaspace(const Component& component) {
  component.expect_only({"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
  Metaspace metaspace;
  metaspace.replacement = component.character("replacement");
  const std::string scheme = component.text_or("prepend_scheme", "always");
  if (scheme != "first" && scheme != "never" && scheme != "always") {
    component.refuse("unknown prepend_scheme \"" + printable(scheme) + "\"");
  }
  metaspace.scheme = scheme == "first"   ? PrependScheme::kFirst
                     : scheme == "never" ? PrependScheme::kNever
                                         : PrependScheme::kAlways;
  if (!component.flag_or("add_prefix_space", true) && scheme != "never") {
    component.refuse("add_prefix_space is false but prepend_scheme is \"" + scheme + "\"");
  }
  steps_.emplace_back([metaspace](Pieces& pieces) { rewrite_pieces(pieces, metaspace); });
  if (component.flag_or("split", true)) {
    const Pattern pattern = Pattern::plain(metaspace.replacement);
    steps_.emplace_back([pattern](Pieces& pieces) {
      split_pieces(pieces, [&](std::string_view text, std::vector<Span>& parts) {
        parts = split_at(pattern.find(text), SplitBehavior::kMergedWithNext);
      });
    });
  }
}

}  // namespace ddro::text
