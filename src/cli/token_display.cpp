#include "cli/token_display.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <span>

#include "ddro/base/error.h"

namespace ddro::cli {
namespace {

constexpr const char* kReset = "\x1b[0m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kReverse = "\x1b[7m";
constexpr std::array<const char*, 2> kTurns = {"\x1b[36m", "\x1b[33m"};
constexpr const char* kStart = ">>>";

// What token `i` adds to the text. Decoders drop a space in front of a text, so a token is read together with
// the one before it; where that one ends inside a character, it is read alone.
std::string token_text(const text::Tokenizer& tokenizer, std::span<const text::TokenId> ids, size_t i) {
  const std::string alone = tokenizer.decode(ids.subspan(i, 1));
  if (i == 0) return alone;
  const std::string before = tokenizer.decode(ids.subspan(i - 1, 1));
  const std::string both = tokenizer.decode(ids.subspan(i - 1, 2));
  return both.starts_with(before) && both.size() > before.size() ? both.substr(before.size()) : alone;
}

}  // namespace

bool output_takes_colours() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr &&
         (terminal == nullptr || std::string(terminal) != "dumb");
}

std::string display_tokens(const text::Tokenizer& tokenizer, const data::EncodedSequence& sequence,
                           bool colours) {
  const auto start = static_cast<size_t>(sequence.completion_start);
  std::string line;
  for (size_t i = 0; i < sequence.ids.size(); ++i) {
    const bool completion = i >= start;
    const bool control = tokenizer.is_control(sequence.ids[i]);
    const std::string text = printable(token_text(tokenizer, sequence.ids, i), std::string::npos);
    if (colours) {
      line += std::string(completion ? kTurns[(i - start) % 2] : kDim) + (control ? kReverse : "") + text +
              kReset;
      continue;
    }
    if (i > 0) line += "|";
    if (i == start) line += std::string(kStart) + "|";
    line += control ? "[" + text + "]" : text;
  }
  return line;
}

std::string display_ids(const data::EncodedSequence& sequence) {
  std::string line;
  for (size_t i = 0; i < sequence.ids.size(); ++i) {
    if (i > 0) line += " ";
    if (i == static_cast<size_t>(sequence.completion_start)) line += std::string(kStart) + " ";
    line += std::to_string(sequence.ids[i]);
  }
  return line;
}

}  // namespace ddro::cli
