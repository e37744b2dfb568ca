#include "ddro/data/encode.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "data/messages.h"

namespace ddro::data {
namespace {

using ddro::Span;
using text::TokenId;

constexpr size_t kMaxTextBytes = size_t{4} << 20;  // as many as a template may write

// Prompt and completion as one text.
struct Passage {
  std::string text;
  size_t boundary = 0;          // first byte of the completion
  std::vector<Span> literal;    // bytes that the row wrote: no control tokens in there
  bool control_text = false;    // the row wrote text that would be a control token
  bool templated = false;       // then no token crosses the boundary: generation begins there
  bool shorter_prompt = false;  // the answer does not go on with all of the generation prompt
  size_t last_turn = 0;  // of a templated completion: an end token before this byte ends an earlier turn
};

// An EncodedSequence that is being made.
struct Draft {
  std::vector<TokenId> ids;
  std::int64_t completion_start = 0;

  std::int64_t num_completion_tokens() const {
    return static_cast<std::int64_t>(ids.size()) - completion_start;
  }
};

struct EncodedSide {
  Draft sequence;
  std::optional<std::string> unusable;
  bool boundary_merge = false;
  bool control_text = false;
  bool shorter_prompt = false;
  bool other_turns = false;
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

// Why a row cannot be used.
struct Unusable {
  std::string reason;
};

// Cuts what comes behind `boundary` off a rendering.
text::RenderedText split_off(text::RenderedText& whole, size_t boundary) {
  text::RenderedText rest{whole.text.substr(boundary), {}};
  for (const Span& span : whole.from_messages) {
    const size_t begin = std::max(span.begin, boundary);
    if (begin < span.end) rest.from_messages.push_back({begin - boundary, span.end - boundary});
  }
  whole.text.resize(boundary);
  return rest;
}

const std::string kAnswerRole = "assistant";

// The role of a completion that is not the usual one.
std::optional<std::string> other_role(const Json& completion) {
  const Json& message = completion.back();
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string() || *role == kAnswerRole) return std::nullopt;
  return role->get<std::string>();
}

// At most `bytes` of `text` that end with a character's last byte.
size_t whole_characters(const std::string& text, size_t bytes) {
  while (bytes > 0 && bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80)
    --bytes;
  return bytes;
}

bool has_other_turns(const Json& completion) {
  return !std::all_of(completion.begin(), completion.end(), is_answer);
}

class RowEncoder {
 public:
  RowEncoder(const PreferenceRow& row, const TextSource& text, const DataOptions& options)
      : row_(row), text_(text), options_(options) {}

  EncodeResult encode();
  std::vector<TokenId> encode_prompt();

 private:
  std::string template_name() const { return "the chat template (" + printable(text_.template_name) + ")"; }
  // Throws Unusable: the template's fault, or its role's where a completion has an unusual one.
  [[noreturn]] void refuse(const std::string& problem, const Json& completion = Json()) const;

  void refuse_long(size_t bytes) const;
  text::RenderedText render(const Json& messages, bool add_generation_prompt, const Json& completion) const;
  std::vector<TokenId> encode_rendered_prompt() const;
  Passage passage(const Completion& completion);
  Passage rendered_passage(const Json& completion, bool finished);
  Passage joined(text::RenderedText prompt, text::RenderedText answer) const;
  [[noreturn]] void refuse_parting(const std::string& whole, size_t at, const Json& completion) const;
  size_t boundary_in(const text::RenderedText& whole, const Json& completion) const;
  EncodedSide encode_side(const Completion& completion);
  std::vector<TokenId> missing_prefix(const std::vector<TokenId>& ids, std::int64_t prompt_length) const;
  void end_string(bool finished, Draft& sequence) const;
  void end_message(const Passage& passage, const Completion& completion, std::int64_t last_turn,
                   Draft& sequence) const;
  std::string describe_missing_end(const Passage& passage, const Draft& sequence) const;
  bool is_end(TokenId id) const {
    return std::find(text_.end_ids.begin(), text_.end_ids.end(), id) != text_.end_ids.end();
  }
  void fit(Draft& sequence, EncodeResult& result) const;

  const PreferenceRow& row_;
  const TextSource& text_;
  const DataOptions& options_;
  std::optional<text::RenderedText> prompt_;  // rendered once for both completions
  Json messages_;                             // the prompt's, then a completion's
};

void RowEncoder::refuse(const std::string& problem, const Json& completion) const {
  const auto role = completion.is_array() ? other_role(completion) : std::nullopt;
  if (!role) throw Unusable{problem};
  throw Unusable{"the message's role is \"" + printable(*role) + "\", expected \"" + kAnswerRole +
                 "\"; with it, " + problem};
}

text::RenderedText RowEncoder::render(const Json& messages, bool add_generation_prompt,
                                      const Json& completion) const {
  if (!text_.render) {
    throw input_error("[data] " + row_.where +
                      ": a list of messages, but the model folder has no chat template; set "
                      "data.chat_template, or write strings");
  }
  try {
    return text_.render(messages, add_generation_prompt, row_.template_kwargs);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    refuse(template_name() + " refuses these messages: " + error.what(), completion);
  }
}

// Tokens take many times the memory and time of their text, and no model takes a million of them.
void RowEncoder::refuse_long(size_t bytes) const {
  if (bytes <= kMaxTextBytes) return;
  throw Unusable{"prompt and completion have more than " + std::to_string(kMaxTextBytes >> 20) +
                 " MB of text"};
}

Passage RowEncoder::passage(const Completion& completion) {
  if (const auto* prompt = std::get_if<std::string>(&row_.prompt)) {
    refuse_long(prompt->size() + std::get<std::string>(completion.content).size());
    Passage result{
        *prompt + std::get<std::string>(completion.content), prompt->size(), {}, false, false, false, 0};
    result.literal = {{0, result.text.size()}};
    result.control_text = separate_control_text(*text_.tokenizer, result.text, result.literal);
    return result;
  }
  return rendered_passage(std::get<Json>(completion.content), completion.finished);
}

Passage RowEncoder::rendered_passage(const Json& completion, bool finished) {
  const Json& prompt = std::get<Json>(row_.prompt);
  if (!prompt_) prompt_ = render(prompt, true, Json());
  if (messages_.is_null()) messages_ = prompt;
  messages_.get_ref<Json::array_t&>().resize(prompt.size());
  messages_.insert(messages_.end(), completion.begin(), completion.end());
  text::RenderedText whole = render(messages_, false, completion);
  // The prompt is what generation sees: a row's answer may begin with what the generation prompt ends in, and
  // that is the template's text then.
  text::RenderedText shared = *prompt_;
  shared.text.resize(boundary_in(whole, completion));
  text::RenderedText answer = split_off(whole, shared.text.size());
  const size_t written = answer.from_messages.empty() ? 0 : answer.from_messages.back().end;
  if (!finished) answer.text.resize(written);
  Passage result = joined(std::move(shared), std::move(answer));
  result.shorter_prompt = result.boundary < prompt_->text.size();
  result.last_turn = result.boundary + (completion.size() > 1 ? written : 0);
  return result;
}

Passage RowEncoder::joined(text::RenderedText prompt, text::RenderedText answer) const {
  const bool in_prompt = separate_control_text(*text_.tokenizer, prompt.text, prompt.from_messages);
  const bool in_answer = separate_control_text(*text_.tokenizer, answer.text, answer.from_messages);
  Passage result{prompt.text + answer.text,
                 prompt.text.size(),
                 std::move(prompt.from_messages),
                 in_prompt || in_answer,
                 true,
                 false,
                 0};
  for (const Span& span : answer.from_messages)
    result.literal.push_back({span.begin + result.boundary, span.end + result.boundary});
  return result;
}

// Where the answer begins in `whole`: behind the prompt, or, where the template does not write all of its
// generation prompt before an answer, where the two part.
size_t RowEncoder::boundary_in(const text::RenderedText& whole, const Json& completion) const {
  const std::string& prompt = prompt_->text;
  if (whole.text.starts_with(prompt)) return prompt.size();
  const auto parting =
      std::mismatch(prompt.begin(), prompt.end(), whole.text.begin(), whole.text.end()).first;
  const auto at = static_cast<size_t>(parting - prompt.begin());
  size_t boundary = whole_characters(prompt, at);
  const size_t written = prompt_->from_messages.empty() ? 0 : prompt_->from_messages.back().end;
  // An answer may happen to go on as the generation prompt does.
  for (const Span& span : whole.from_messages) {
    if (span.begin >= written && span.begin < boundary && boundary < span.end) boundary = span.begin;
  }
  if (boundary < written || boundary == 0 || other_role(completion))
    refuse_parting(whole.text, at, completion);
  return boundary;
}

void RowEncoder::refuse_parting(const std::string& whole, size_t at, const Json& completion) const {
  const std::string& prompt = prompt_->text;
  const size_t context = at - std::min<size_t>(at, 20);
  refuse(template_name() + " renders the prompt alone otherwise than with the completion; after \"" +
             printable(prompt.substr(context, at - context), 60) + "\" alone \"" +
             printable(prompt.substr(at, 40), 40) + "\", with the completion \"" +
             printable(whole.substr(at, 40), 40) +
             "\"; set data.chat_template to a template that renders a turn the same whatever follows",
         completion);
}

EncodedSide RowEncoder::encode_side(const Completion& completion) {
  EncodedSide side;
  Passage passage = this->passage(completion);
  side.control_text = passage.control_text;
  side.shorter_prompt = passage.shorter_prompt;
  if (options_.parse_control_tokens) passage.literal.clear();

  const size_t cut = passage.templated ? passage.boundary : std::string::npos;
  text::Encoding encoding = text_.tokenizer->encode(passage.text, passage.literal, cut);
  const auto first = std::find_if(encoding.offsets.begin(), encoding.offsets.end(),
                                  [&](const Span& span) { return span.end > passage.boundary; });
  if (first == encoding.offsets.end()) {
    side.unusable = "the completion gives no token";
    return side;
  }
  side.boundary_merge = first->begin < passage.boundary;
  side.sequence.completion_start = first - encoding.offsets.begin();
  side.sequence.ids = std::move(encoding.ids);
  if (passage.templated) {
    const auto last_turn = std::find_if(first, encoding.offsets.end(),
                                        [&](const Span& span) { return span.begin >= passage.last_turn; });
    end_message(passage, completion, last_turn - encoding.offsets.begin(), side.sequence);
    side.other_turns = has_other_turns(std::get<Json>(completion.content));
  } else {
    end_string(completion.finished, side.sequence);
  }
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

// What the tokenizer puts around a string.
void RowEncoder::end_string(bool finished, Draft& sequence) const {
  std::vector<TokenId>& ids = sequence.ids;
  if (finished && !is_end(ids.back())) ids.push_back(text_.end_ids.front());
  const std::vector<TokenId> prefix = missing_prefix(ids, sequence.completion_start);
  ids.insert(ids.begin(), prefix.begin(), prefix.end());
  sequence.completion_start += static_cast<std::int64_t>(prefix.size());
}

// Where a template's output ends: at the first end token from the token `last_turn` on.
void RowEncoder::end_message(const Passage& passage, const Completion& completion, std::int64_t last_turn,
                             Draft& sequence) const {
  std::vector<TokenId>& ids = sequence.ids;
  const auto end =
      std::find_if(ids.begin() + last_turn, ids.end(), [this](TokenId id) { return is_end(id); });
  if (!completion.finished) {
    ids.erase(end, ids.end());
  } else if (end != ids.end()) {
    ids.erase(end + 1, ids.end());
  } else {
    refuse(describe_missing_end(passage, sequence), std::get<Json>(completion.content));
  }
}

std::string RowEncoder::describe_missing_end(const Passage& passage, const Draft& sequence) const {
  std::string expected;
  for (const TokenId id : text_.end_ids) {
    expected += (expected.empty() ? "\"" : " or \"") + printable(text_.tokenizer->token_of(id)) + "\"";
  }
  const auto control = std::find_if(sequence.ids.rbegin(), sequence.ids.rend() - sequence.completion_start,
                                    [this](TokenId id) { return text_.tokenizer->is_control(id); });
  if (control != sequence.ids.rend() - sequence.completion_start) {
    const std::string token = "\"" + printable(text_.tokenizer->token_of(*control)) + "\"";
    return template_name() + " ends a finished completion with " + token + ", and the model's end token is " +
           expected + "; set model.eos_token to " + token + " if that ends a turn";
  }
  const size_t written = passage.literal.empty() ? passage.boundary : passage.literal.back().end;
  return template_name() + " gives no end token after a finished completion; got \"" +
         printable(passage.text.substr(std::min(written, passage.text.size())), 40) + "\", expected " +
         expected +
         "; set model.eos_token to the token that ends a turn there, or data.chat_template to a template "
         "that ends one with it";
}

void RowEncoder::fit(Draft& sequence, EncodeResult& result) const {
  const auto length = static_cast<std::int64_t>(sequence.ids.size());
  result.length = std::max(result.length, length);
  if (length <= options_.max_length || options_.on_overlength != OnOverlength::kTruncate) return;
  if (sequence.completion_start >= options_.max_length) {
    result.unusable = "the prompt alone has " + std::to_string(sequence.completion_start) +
                      " tokens, which leaves the completion no room; data.max_length is " +
                      std::to_string(options_.max_length);
    result.remedy = "raise data.max_length, or set data.on_bad_row to drop";
    return;
  }
  sequence.ids.resize(static_cast<size_t>(options_.max_length));
  result.truncated = true;
}

EncodeResult RowEncoder::encode() {
  struct Part {
    const char* name;
    const Completion* completion;
    CompletionClass completion_class;
  };
  std::vector<Part> parts;
  if (row_.kind == RowKind::kPaired) {
    parts = {{"chosen", &row_.chosen, CompletionClass::kChosen},
             {"rejected", &row_.rejected, CompletionClass::kRejected}};
  } else {
    parts = {
        {"completion", &row_.chosen, row_.label ? CompletionClass::kChosen : CompletionClass::kRejected}};
  }

  EncodeResult result;
  result.example.weight = row_.weight;
  for (const Part& part : parts) {
    EncodedSide side;
    try {
      side = encode_side(*part.completion);
      if (!side.unusable) fit(side.sequence, result);
    } catch (const Unusable& failure) {
      side.unusable = failure.reason;
    }
    if (side.unusable && !result.unusable)
      result.unusable = "\"" + std::string(part.name) + "\": " + *side.unusable;
    result.boundary_merges += side.boundary_merge;
    result.control_text |= side.control_text;
    result.shorter_prompts += side.shorter_prompt;
    result.other_turns += side.other_turns;
    result.example.sequences.push_back(
        {side.sequence.ids, side.sequence.completion_start, part.completion_class});
  }
  if (!result.unusable && result.length > options_.max_length &&
      options_.on_overlength != OnOverlength::kTruncate) {
    result.overlength = true;
    result.unusable = std::to_string(result.length) + " tokens, more than data.max_length " +
                      std::to_string(options_.max_length);
  }
  return result;
}

std::vector<TokenId> RowEncoder::encode_rendered_prompt() const {
  const text::RenderedText rendered = render(std::get<Json>(row_.prompt), true, Json());
  return encode_rendered(rendered, *text_.tokenizer, options_.parse_control_tokens).ids;
}

std::vector<TokenId> RowEncoder::encode_prompt() {
  std::vector<TokenId> ids;
  if (const auto* prompt = std::get_if<std::string>(&row_.prompt)) {
    refuse_long(prompt->size());
    ids = encode_rendered({*prompt, {{0, prompt->size()}}}, *text_.tokenizer, options_.parse_control_tokens)
              .ids;
    const std::vector<TokenId> prefix = missing_prefix(ids, static_cast<std::int64_t>(ids.size()));
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
  } else {
    ids = encode_rendered_prompt();
  }
  if (ids.empty()) refuse("\"prompt\" gives no token, so nothing predicts the first one of a completion");
  return ids;
}

}  // namespace

std::vector<TokenId> encode_prompt(const PreferenceRow& row, const TextSource& text,
                                   const DataOptions& options) {
  try {
    return RowEncoder(row, text, options).encode_prompt();
  } catch (const Unusable& failure) {
    throw input_error("[data] " + row.where + ": " + failure.reason);
  }
}

text::Encoding encode_rendered(const text::RenderedText& rendered, const text::Tokenizer& tokenizer,
                               bool parse_control_tokens) {
  std::vector<Span> literal = rendered.from_messages;
  separate_control_text(tokenizer, rendered.text, literal);
  if (parse_control_tokens) literal.clear();
  return tokenizer.encode(rendered.text, literal);
}

EncodeResult encode_row(const PreferenceRow& row, const TextSource& text, const DataOptions& options) {
  return RowEncoder(row, text, options).encode();
}

}  // namespace ddro::data
