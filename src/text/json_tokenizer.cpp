#include "text/json_tokenizer.h"

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"

namespace ddro::text {

namespace {

constexpr size_t kMostKeptSpans = size_t{1} << 15;

}  // namespace

bool overlaps(std::span<const Span> spans, Span span) {
  const auto first = std::upper_bound(spans.begin(), spans.end(), span.begin,
                                      [](size_t begin, const Span& s) { return begin < s.end; });
  return first != spans.end() && first->begin < span.end && first->begin < first->end;
}

void check_input(std::string_view text, std::span<const Span> literal) {
  if (text.size() > (size_t{1} << 30)) throw input_error("[text] longer than 1 GiB");
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw input_error("[text] not valid UTF-8 at byte " + std::to_string(invalid));
  }
  size_t end = 0;
  for (const Span& span : literal) {
    DDRO_CHECK(span.begin >= end && span.end >= span.begin && span.end <= text.size(), "literal spans");
    end = span.end;
  }
}

struct JsonTokenizer::Call {
  const JsonTokenizer& tokenizer;
  std::span<const Span> literal;
  std::unique_ptr<Workspace> workspace;
  Encoding result;

  Call(const JsonTokenizer& owner, std::span<const Span> literal_spans)
      : tokenizer(owner), literal(literal_spans) {
    const std::lock_guard lock(tokenizer.workspaces_lock_);
    if (!tokenizer.workspaces_.empty()) {
      workspace = std::move(tokenizer.workspaces_.back());
      tokenizer.workspaces_.pop_back();
    } else {
      workspace = std::make_unique<Workspace>();
      workspace->words = tokenizer.model_->make_workspace();
    }
  }
  ~Call() {
    const std::lock_guard lock(tokenizer.workspaces_lock_);
    tokenizer.workspaces_.push_back(std::move(workspace));
  }
};

template <typename OnToken, typename OnText>
void JsonTokenizer::for_each_part(std::string_view text, Span range, std::span<const Span> literal,
                                  const OnToken& on_token, const OnText& on_text) const {
  const auto moved = [&](Span span) { return Span{range.begin + span.begin, range.begin + span.end}; };
  const auto held_back = [&](Span span) { return overlaps(literal, moved(span)); };
  for (const TextPart& raw : raw_finder_.find(text.substr(range.begin, range.end - range.begin), held_back)) {
    const Span span = moved(raw.span);
    if (raw.token) {
      on_token(*raw.token, span);
      continue;
    }
    const bool continues = range.begin > 0 && span.begin == range.begin;
    AlignedText part(text.substr(span.begin, span.end - span.begin), span.begin, continues);
    normalizer_.apply(part);
    if (part.text().empty()) continue;
    if (normalized_finder_.empty()) {
      on_text(part);
      continue;
    }
    const auto origin_held_back = [&](Span inner) { return overlaps(literal, part.origin(inner)); };
    for (const TextPart& inner : normalized_finder_.find(part.text(), origin_held_back)) {
      if (inner.token) {
        on_token(*inner.token, part.origin(inner.span));
      } else {
        on_text(part.slice(inner.span));
      }
    }
  }
}

Encoding JsonTokenizer::encode(std::string_view text, std::span<const Span> literal, size_t cut) const {
  check_input(text, literal);
  Call call(*this, literal);
  call.result.ids.reserve(text.size() / 3);
  call.result.offsets.reserve(text.size() / 3);
  if (cut > 0 && cut < text.size()) {
    encode_range(text, {0, cut}, call);
    encode_range(text, {cut, text.size()}, call);
  } else {
    encode_range(text, {0, text.size()}, call);
  }
  return std::move(call.result);
}

void JsonTokenizer::encode_range(std::string_view text, Span range, Call& call) const {
  for_each_part(
      text, range, call.literal,
      [&](const AddedToken& token, Span origin) {
        call.result.ids.push_back(token.id);
        call.result.offsets.push_back(origin);
      },
      [&](const AlignedText& part) { encode_known_part(part, call); });
}

// Tokens depend on a part's text alone, except at the beginning of the input (Metaspace) and where control
// tokens are held back within words.
void JsonTokenizer::encode_known_part(const AlignedText& part, Call& call) const {
  const std::string_view text = part.text();
  if (part.changed() || part.base() == 0 || part.continues() || text.size() > PartCache::kMaxBytes ||
      model_->control_reachable()) {
    encode_part(part, call);
    return;
  }
  Encoding& result = call.result;
  PartCache::Part& known = call.workspace->parts.place_of(text);
  if (known.text == text) {
    result.ids.insert(result.ids.end(), known.tokens.ids.begin(), known.tokens.ids.end());
    for (const Span& span : known.tokens.offsets)
      result.offsets.push_back({span.begin + part.base(), span.end + part.base()});
    return;
  }
  const size_t first = result.ids.size();
  encode_part(part, call);
  known.text = text;
  known.tokens.ids.assign(result.ids.begin() + static_cast<std::ptrdiff_t>(first), result.ids.end());
  known.tokens.offsets.clear();
  for (size_t i = first; i < result.offsets.size(); ++i) {
    const Span& span = result.offsets[i];
    known.tokens.offsets.push_back({span.begin - part.base(), span.end - part.base()});
  }
}

void JsonTokenizer::encode_part(const AlignedText& part, Call& call) const {
  Pieces& pieces = call.workspace->pieces;
  pieces.text = part;
  pieces.spans.assign(1, {0, part.text().size()});
  pre_tokenizer_.apply(pieces);
  const std::string_view text = pieces.text.text();
  std::vector<WordToken>& word_tokens = call.workspace->word_tokens;
  const bool may_hold_back = model_->control_reachable() && !call.literal.empty();
  for (const Span& piece : pieces.spans) {
    const bool literal = may_hold_back && overlaps(call.literal, pieces.text.origin(piece));
    word_tokens.clear();
    model_->encode(text.substr(piece.begin, piece.end - piece.begin), literal, *call.workspace->words,
                   word_tokens);
    for (const WordToken& token : word_tokens) {
      call.result.ids.push_back(token.id);
      call.result.offsets.push_back(pieces.text.origin({piece.begin + token.begin, piece.begin + token.end}));
    }
  }
  pieces.text = {};
  if (pieces.spans.capacity() > kMostKeptSpans) pieces = {};
}

std::string JsonTokenizer::decode(std::span<const TokenId> ids, bool skip_control) const {
  std::vector<std::string> texts;
  for (const TokenId id : ids) {
    if (id < 0 || id >= id_limit() || !tokens_[static_cast<size_t>(id)].text) continue;
    if (skip_control && is_control(id)) continue;
    texts.push_back(*tokens_[static_cast<size_t>(id)].text);
  }
  return decoder_.decode(std::move(texts));
}

TokenId JsonTokenizer::id_of(std::string_view token) const {
  if (const AddedToken* added = added_.find(token)) return added->id;
  const auto found = model_->vocabulary().find(token);
  return found == model_->vocabulary().end() ? -1 : found->second;
}

std::string JsonTokenizer::token_of(TokenId id) const {
  if (id < 0 || id >= id_limit() || !tokens_[static_cast<size_t>(id)].text) return "";
  return *tokens_[static_cast<size_t>(id)].text;
}

bool JsonTokenizer::is_control(TokenId id) const {
  if (id < 0 || id >= id_limit()) return false;
  const AddedToken* added = tokens_[static_cast<size_t>(id)].added;
  return added && added->special;
}

std::vector<Span> JsonTokenizer::find_control_text(std::string_view text) const {
  check_input(text, {});
  std::vector<Span> found;
  for_each_part(
      text, {0, text.size()}, {},
      [&](const AddedToken& token, Span origin) {
        if (token.special) found.push_back(origin);
      },
      [](const AlignedText&) {});
  return found;
}

}  // namespace ddro::text
