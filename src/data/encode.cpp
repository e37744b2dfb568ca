#include "ddro/data/encode.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ddro::data {
namespace {

using text::Span;
using text::TokenId;

// Prompt and completion as one text.
struct Passage {
  std::string text;
  size_t boundary = 0;        // first byte of the completion
  std::vector<Span> literal;  // bytes that the row wrote: no control tokens in there
  bool templated = false;
};

struct EncodedSide {
  EncodedSequence sequence;
  std::optional<std::string> unusable;
  bool boundary_merge = false;
  bool control_text = false;
};

// Takes out of `literal` what stands inside a control token whose two ends the template wrote ("<|" + role +
// "|>"). True if a control token is left that the row wrote, or wrote an end of. One sweep: both lists
// ascend.
bool separate_control_text(const text::Tokenizer& tokenizer, const std::string& text,
                           std::vector<Span>& literal) {
  bool found = false;
  std::vector<Span> kept;
  size_t next = 0;
  for (const Span& control : tokenizer.find_control_text(text)) {
    while (next < literal.size() && literal[next].end <= control.begin) kept.push_back(literal[next++]);
    size_t after = next;
    while (after < literal.size() && literal[after].begin < control.end) ++after;
    if (after == next) continue;
    if (literal[next].begin <= control.begin || literal[after - 1].end >= control.end) {
      found = true;
    } else {
      next = after;
    }
  }
  kept.insert(kept.end(), literal.begin() + static_cast<std::ptrdiff_t>(next), literal.end());
  literal = std::move(kept);
  return found;
}

// The template's own refusal of these messages, as opposed to our refusal of the template.
struct RenderFailure {
  std::string reason;
};

class RowEncoder {
 public:
  RowEncoder(const PreferenceRow& row, const TextSource& text, const DataOptions& options)
      : row_(row), text_(text), options_(options) {}

  EncodeResult encode();
  std::vector<TokenId> encode_prompt();

 private:
  [[noreturn]] void refuse(const std::string& problem) const {
    throw input_error("[data] " + row_.where + ": " + problem);
  }
  std::string template_name() const { return "the chat template (" + printable(text_.template_name) + ")"; }

  void require_template() const;
  Passage passage(const Completion& completion);
  Passage rendered_passage(const Json& completion, bool finished);
  void require_beginning(const std::string& beginning, const std::string& whole) const;
  EncodedSide encode_side(const Completion& completion, RowClass row_class);
  std::vector<TokenId> missing_prefix(const std::vector<TokenId>& ids, std::int64_t prompt_length) const;
  void end_sequence(const Passage& passage, bool finished, EncodedSequence& sequence) const;
  bool is_end(TokenId id) const {
    return std::find(text_.end_ids.begin(), text_.end_ids.end(), id) != text_.end_ids.end();
  }
  void fit(EncodedSequence& sequence, EncodeResult& result) const;

  const PreferenceRow& row_;
  const TextSource& text_;
  const DataOptions& options_;
  std::optional<std::string> prompt_text_;  // rendered once for both completions
  Json messages_;                           // the prompt's, then a completion's
};

void RowEncoder::require_template() const {
  if (text_.render) return;
  refuse(
      "a list of messages, but the model folder has no chat template; set data.chat_template, or write "
      "strings");
}

Passage RowEncoder::passage(const Completion& completion) {
  if (const auto* prompt = std::get_if<std::string>(&row_.prompt)) {
    Passage result{*prompt + std::get<std::string>(completion.content), prompt->size(), {}, false};
    result.literal = {{0, result.text.size()}};
    return result;
  }
  require_template();
  return rendered_passage(std::get<Json>(completion.content), completion.finished);
}

Passage RowEncoder::rendered_passage(const Json& completion, bool finished) {
  const Json& prompt = std::get<Json>(row_.prompt);
  text::RenderedText whole;
  try {
    if (!prompt_text_) prompt_text_ = text_.render(prompt, true).text;
    if (messages_.is_null()) messages_ = prompt;
    messages_.get_ref<Json::array_t&>().resize(prompt.size());
    messages_.insert(messages_.end(), completion.begin(), completion.end());
    whole = text_.render(messages_, false);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    throw RenderFailure{template_name() + " refuses these messages: " + error.what()};
  }
  require_beginning(*prompt_text_, whole.text);
  Passage result{std::move(whole.text), prompt_text_->size(), std::move(whole.from_messages), true};
  if (!finished) {
    const size_t content_end = result.literal.empty() ? 0 : result.literal.back().end;
    result.text.resize(std::max(content_end, result.boundary));
  }
  return result;
}

void RowEncoder::require_beginning(const std::string& beginning, const std::string& whole) const {
  if (whole.starts_with(beginning)) return;
  const auto [alone, within] = std::mismatch(beginning.begin(), beginning.end(), whole.begin(), whole.end());
  const auto at = static_cast<size_t>(alone - beginning.begin());
  const size_t context = at - std::min<size_t>(at, 20);
  refuse(template_name() + " renders the prompt alone otherwise than with the completion; after \"" +
         printable(beginning.substr(context, at - context), 60) + "\" alone \"" +
         printable(beginning.substr(at, 40), 40) + "\", with the completion \"" +
         printable(whole.substr(at, 40), 40) +
         "\"; set data.chat_template to a template whose generation prompt begins its answers");
}

EncodedSide RowEncoder::encode_side(const Completion& completion, RowClass row_class) {
  EncodedSide side;
  side.sequence.row_class = row_class;
  Passage passage = this->passage(completion);
  side.control_text = separate_control_text(*text_.tokenizer, passage.text, passage.literal);
  if (options_.parse_control_tokens) passage.literal.clear();

  text::Encoding encoding = text_.tokenizer->encode(passage.text, passage.literal);
  const auto first = std::find_if(encoding.offsets.begin(), encoding.offsets.end(),
                                  [&](const Span& span) { return span.end > passage.boundary; });
  if (first == encoding.offsets.end()) {
    side.unusable = "the completion gives no token";
    return side;
  }
  side.boundary_merge = first->begin < passage.boundary;
  side.sequence.completion_start = first - encoding.offsets.begin();
  side.sequence.ids = std::move(encoding.ids);
  end_sequence(passage, completion.finished, side.sequence);
  if (side.sequence.completion_start == 0) {
    side.unusable = "no token stands before the completion, so nothing predicts its first one";
  } else if (side.sequence.num_completion_tokens() == 0) {
    side.unusable = "the completion has no token before the end token, and is marked as not finished";
  }
  return side;
}

// What the tokenizer puts in front of a string whose tokens do not begin with it.
std::vector<TokenId> RowEncoder::missing_prefix(const std::vector<TokenId>& ids,
                                                std::int64_t prompt_length) const {
  std::vector<TokenId> prefix = text_.tokenizer->prefix_ids();
  const bool has_prefix = prompt_length >= static_cast<std::int64_t>(prefix.size()) &&
                          std::equal(prefix.begin(), prefix.end(), ids.begin());
  if (has_prefix) prefix.clear();
  return prefix;
}

// What the tokenizer puts around a string; where a template's output ends.
void RowEncoder::end_sequence(const Passage& passage, bool finished, EncodedSequence& sequence) const {
  std::vector<TokenId>& ids = sequence.ids;
  if (!passage.templated) {
    if (finished && !is_end(ids.back())) ids.push_back(text_.end_ids.front());
    const std::vector<TokenId> prefix = missing_prefix(ids, sequence.completion_start);
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
    sequence.completion_start += static_cast<std::int64_t>(prefix.size());
    return;
  }
  const auto end = std::find_if(ids.begin() + sequence.completion_start, ids.end(),
                                [this](TokenId id) { return is_end(id); });
  if (!finished) {
    ids.erase(end, ids.end());
  } else if (end != ids.end()) {
    ids.erase(end + 1, ids.end());
  } else {
    std::string expected;
    for (const TokenId id : text_.end_ids) {
      expected += (expected.empty() ? "\"" : " or \"") + printable(text_.tokenizer->token_of(id)) + "\"";
    }
    refuse(template_name() + " gives no end token after a finished completion; expected " + expected +
           "; set data.chat_template, or mark the rows as not finished");
  }
}

void RowEncoder::fit(EncodedSequence& sequence, EncodeResult& result) const {
  const auto length = static_cast<std::int64_t>(sequence.ids.size());
  result.length = std::max(result.length, length);
  if (length <= options_.max_length || options_.on_overlength != OnOverlength::kTruncate) return;
  if (sequence.completion_start >= options_.max_length) {
    result.unusable = "the prompt alone has " + std::to_string(sequence.completion_start) +
                      " tokens, which leaves the completion no room; data.max_length is " +
                      std::to_string(options_.max_length);
    return;
  }
  sequence.ids.resize(static_cast<size_t>(options_.max_length));
  result.truncated = true;
}

EncodeResult RowEncoder::encode() {
  struct Part {
    const char* name;
    const Completion* completion;
    RowClass row_class;
  };
  std::vector<Part> parts;
  if (row_.kind == RowKind::kPaired) {
    parts = {{"chosen", &row_.chosen, RowClass::kChosen}, {"rejected", &row_.rejected, RowClass::kRejected}};
  } else {
    parts = {{"completion", &row_.chosen, row_.label ? RowClass::kChosen : RowClass::kRejected}};
  }

  EncodeResult result;
  result.example.weight = row_.weight;
  for (const Part& part : parts) {
    EncodedSide side;
    try {
      side = encode_side(*part.completion, part.row_class);
      if (!side.unusable) fit(side.sequence, result);
    } catch (const RenderFailure& failure) {
      side.unusable = failure.reason;
    }
    if (side.unusable && !result.unusable)
      result.unusable = "\"" + std::string(part.name) + "\": " + *side.unusable;
    result.boundary_merges += side.boundary_merge;
    result.control_text |= side.control_text;
    result.example.sequences.push_back(std::move(side.sequence));
  }
  if (!result.unusable && result.length > options_.max_length &&
      options_.on_overlength != OnOverlength::kTruncate) {
    result.overlength = true;
    result.unusable = std::to_string(result.length) + " tokens, more than data.max_length " +
                      std::to_string(options_.max_length);
  }
  return result;
}

std::vector<TokenId> RowEncoder::encode_prompt() {
  Passage passage;
  if (const auto* prompt = std::get_if<std::string>(&row_.prompt)) {
    passage = {*prompt, prompt->size(), {{0, prompt->size()}}, false};
  } else {
    require_template();
    try {
      text::RenderedText rendered = text_.render(std::get<Json>(row_.prompt), true);
      passage = {std::move(rendered.text), 0, std::move(rendered.from_messages), true};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      refuse(template_name() + " refuses these messages: " + error.what());
    }
  }
  separate_control_text(*text_.tokenizer, passage.text, passage.literal);
  if (options_.parse_control_tokens) passage.literal.clear();
  std::vector<TokenId> ids = text_.tokenizer->encode(passage.text, passage.literal).ids;
  if (!passage.templated) {
    const std::vector<TokenId> prefix = missing_prefix(ids, static_cast<std::int64_t>(ids.size()));
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
  }
  if (ids.empty()) refuse("\"prompt\" gives no token, so nothing predicts the first one of a completion");
  return ids;
}

}  // namespace

std::vector<TokenId> encode_prompt(const Content& prompt, const std::string& where, const TextSource& text,
                                   const DataOptions& options) {
  PreferenceRow row;
  row.where = where;
  row.prompt = prompt;
  return RowEncoder(row, text, options).encode_prompt();
}

EncodeResult encode_row(const PreferenceRow& row, const TextSource& text, const DataOptions& options) {
  return RowEncoder(row, text, options).encode();
}

}  // namespace ddro::data
