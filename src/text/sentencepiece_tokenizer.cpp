#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "text/character_class.h"
#include "text/component.h"
#include "text/json_tokenizer.h"

namespace ddro::text {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

// What Python's str.strip takes: white space and the four separators U+001C..U+001F.
bool is_stripped(std::string_view text, size_t offset) {
  return (text[offset] >= 0x1C && text[offset] <= 0x1F) || (flags_at(text, offset) & kSpace);
}

size_t skip_space(std::string_view text, Span span) {
  while (span.begin < span.end && is_stripped(text, span.begin)) span.begin += utf8_length(text[span.begin]);
  return span.begin;
}

size_t skip_space_back(std::string_view text, Span span) {
  while (span.end > span.begin) {
    size_t last = span.end - 1;
    while (is_utf8_continuation(text[last])) --last;
    if (!is_stripped(text, last)) break;
    span.end = last;
  }
  return span.end;
}

bool is_empty(const TextPart& part) { return part.span.begin == part.span.end; }

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(const std::filesystem::path& model_folder)
    : settings_(read_sentencepiece_settings(model_folder)) {
  load_model(model_folder / "tokenizer.model");
  add_tokens(printable((model_folder / "tokenizer_config.json").string(), 400));
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

void SentencePieceTokenizer::load_model(const std::filesystem::path& file) {
  const std::string place = printable(file.string(), 400);
  const auto is_control_piece = [&](const std::string& piece) {
    for (const auto* tokens : {&settings_.added, &settings_.named}) {
      for (const AddedToken& token : *tokens) {
        if (token.content == piece) return token.is_control();
      }
    }
    return false;
  };
  const std::string bytes = read_file(file, ErrorKind::kModel, std::uint64_t{1} << 30);
  const std::string model = adapt_sentencepiece_model(bytes, !settings_.legacy, is_control_piece, place);
  processor_ = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor_->LoadFromSerializedProto(model);
  if (!status.ok()) {
    throw model_error("[" + place + "] not a sentencepiece model: " + printable(status.error_message()));
  }
  num_pieces_ = processor_->GetPieceSize();
  id_limit_ = num_pieces_;
  std::vector<int> unknown;
  if (processor_->Encode(settings_.unk, &unknown).ok()) unknown_length_ = unknown.size();
}

void SentencePieceTokenizer::add_tokens(const std::string& place) {
  auto next_id = num_pieces_;
  for (const AddedToken& token : settings_.added) {
    add_token(token, place);
    if (processor_->PieceToId(token.content) != token.id) ++next_id;
  }
  for (AddedToken token : settings_.named) {
    const int piece = processor_->PieceToId(token.content);
    token.id = processor_->IdToPiece(piece) == token.content ? piece : next_id++;
    add_token(token, place);
  }
  for (auto& [id, token] : plain_) finder_.add(token.content, token);
}

void SentencePieceTokenizer::add_token(AddedToken token, const std::string& place) {
  const bool is_other_piece = token.id < num_pieces_ && processor_->IdToPiece(token.id) != token.content;
  if (is_other_piece || added_.contains(token.id)) {
    throw model_error("[" + place + "] the id " + std::to_string(token.id) + " of the added token \"" +
                      printable(token.content) + "\" belongs to another token");
  }
  id_limit_ = std::max(id_limit_, token.id + 1);
  added_ids_[token.content] = token.id;
  added_[token.id] = token;
  token.single_word = token.lstrip = token.rstrip = false;
  plain_[token.id] = token;
}

// The text with a prefix of its own and no other space symbols, unless it is left to the library.
AlignedText SentencePieceTokenizer::prepare(std::string_view text) const {
  AlignedText result(text, 0);
  if (settings_.legacy || text.empty()) return result;
  if (text.find(kSpaceSymbol) != std::string_view::npos) {
    Rewriter rewriter(result);
    for (size_t at = text.find(kSpaceSymbol); at != std::string_view::npos;
         at = text.find(kSpaceSymbol, at + 1)) {
      rewriter.keep(at - rewriter.position());
      rewriter.replace(kSpaceSymbol.size(), " ");
    }
    result = rewriter.finish();
  }
  if (settings_.add_prefix_space) prepend(kSpaceSymbol, result);
  return result;
}

// Cuts at the added tokens. A token of single words that touches text which does not begin or end with a
// space becomes part of that text.
std::vector<TextPart> SentencePieceTokenizer::split(const AlignedText& prepared,
                                                    std::span<const Span> literal) const {
  const std::string_view text = prepared.text();
  std::vector<TextPart> parts =
      finder_.find(text, [&](Span span) { return overlaps(literal, prepared.origin(span)); });
  TextPart none;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].token) continue;
    const AddedToken& token = added_.at(parts[i].token->id);
    TextPart& left = i > 0 ? parts[i - 1] : none;
    TextPart& right = i + 1 < parts.size() ? parts[i + 1] : none;
    const bool touches_left = !is_empty(left) && text[left.span.end - 1] != ' ';
    const bool touches_right = !is_empty(right) && text[right.span.begin] != ' ';
    if (token.rstrip && !right.token) right.span.begin = skip_space(text, right.span);
    if (token.lstrip && !left.token) left.span.end = skip_space_back(text, left.span);
    if (!token.single_word || (!touches_left && !touches_right)) continue;
    TextPart& joined = touches_left ? left : right;
    joined.span = {std::min(joined.span.begin, parts[i].span.begin),
                   std::max(joined.span.end, parts[i].span.end)};
    joined.token = nullptr;
    parts[i] = {};
  }
  std::erase_if(parts, is_empty);
  return parts;
}

Encoding SentencePieceTokenizer::encode(std::string_view text, std::span<const Span> literal) const {
  check_input(text, literal);
  Encoding result;
  const AlignedText prepared = prepare(text);
  const std::vector<TextPart> parts = split(prepared, literal);
  for (const TextPart& part : parts) {
    if (part.token) {
      // A text that begins with a named token has no prefix in front of it.
      const bool lone_prefix = !settings_.legacy && &part == parts.data() + 1 && result.ids.size() == 1 &&
                               token_of(result.ids[0]) == kSpaceSymbol &&
                               settings_.special.contains(part.token->content);
      if (lone_prefix) result = {};
      result.ids.push_back(part.token->id);
      result.offsets.push_back(prepared.origin(part.span));
    } else {
      encode_part(prepared.slice(part.span), result);
    }
  }
  return result;
}

void SentencePieceTokenizer::encode_part(const AlignedText& part, Encoding& result) const {
  const std::string_view text = part.text();
  // The library would drop a space in front; behind the unknown token's text it stays.
  const bool guarded =
      !settings_.legacy && (text[0] == ' ' || text.substr(0, kSpaceSymbol.size()) == kSpaceSymbol);
  const std::string guard = guarded ? settings_.unk : "";
  sentencepiece::ImmutableSentencePieceText encoded;
  const auto status = processor_->Encode(guard + std::string(text), encoded.mutable_proto());
  if (!status.ok()) throw model_error("[tokenizer.model] " + printable(status.error_message()));
  const std::vector<sentencepiece::ImmutableSentencePieceText_ImmutableSentencePiece> pieces =
      encoded.pieces();
  const size_t first = guarded && pieces.size() >= unknown_length_ ? unknown_length_ : 0;
  const size_t start = result.offsets.size();
  std::vector<Span> spans;
  for (size_t i = first; i < pieces.size(); ++i) {
    result.ids.push_back(static_cast<TokenId>(pieces[i].id()));
    const auto inside = [&](size_t at) {
      return std::min(at > guard.size() ? at - guard.size() : 0, text.size());
    };
    spans.push_back({inside(pieces[i].begin()), inside(pieces[i].end())});
  }
  // Of a character's byte tokens, the last one has its bytes.
  for (size_t i = spans.size(); i-- > 1;) {
    Span& before = spans[i - 1];
    const bool same = before.begin == before.end && before.begin == spans[i].begin;
    if (same && processor_->IsByte(result.ids[start + i - 1]) && processor_->IsByte(result.ids[start + i])) {
      before.end = spans[i].end;
    }
  }
  for (const Span& span : spans) {
    if (span.begin < span.end) {
      result.offsets.push_back(part.origin(span));
    } else {
      const size_t at = span.begin < text.size() ? part.origin({span.begin, span.begin + 1}).begin
                                                 : part.origin({text.size() - 1, text.size()}).end;
      result.offsets.push_back({at, at});
    }
  }
}

std::vector<TokenId> SentencePieceTokenizer::prefix_ids() const {
  if (!settings_.add_bos_token || settings_.bos.empty()) return {};
  return {added_ids_.at(settings_.bos)};
}

std::vector<TokenId> SentencePieceTokenizer::suffix_ids() const {
  if (!settings_.add_eos_token || settings_.eos.empty()) return {};
  return {added_ids_.at(settings_.eos)};
}

TokenId SentencePieceTokenizer::id_of(std::string_view token) const {
  const auto added = added_ids_.find(token);
  if (added != added_ids_.end()) return added->second;
  const int id = processor_->PieceToId(token);
  return processor_->IdToPiece(id) == token ? id : -1;
}

std::string SentencePieceTokenizer::token_of(TokenId id) const {
  const auto added = added_.find(id);
  if (added != added_.end()) return added->second.content;
  return id >= 0 && id < num_pieces_ ? processor_->IdToPiece(id) : "";
}

bool SentencePieceTokenizer::is_control(TokenId id) const {
  const auto added = added_.find(id);
  return added != added_.end() && added->second.is_control();
}

std::vector<Span> SentencePieceTokenizer::find_control_text(std::string_view text) const {
  check_input(text, {});
  std::vector<Span> found;
  const AlignedText prepared = prepare(text);
  for (const TextPart& part : split(prepared, {})) {
    if (part.token && part.token->is_control()) found.push_back(prepared.origin(part.span));
  }
  return found;
}

// Added tokens that are not named ones stand alone, with a space between what surrounds them.
std::string SentencePieceTokenizer::decode(std::span<const TokenId> ids, bool skip_control) const {
  std::vector<std::string> texts;
  std::vector<std::string> run;
  const auto flush = [&] {
    if (run.empty()) return;
    std::string text = decode_run(std::move(run));
    if (!text.empty()) texts.push_back(std::move(text));
    run.clear();
  };
  for (const TokenId id : ids) {
    const std::string token = token_of(id);
    if (token.empty() || (skip_control && is_control(id))) continue;
    const bool stands_alone =
        added_.contains(id) &&
        (!settings_.special.contains(token) || (settings_.additional.contains(token) && id >= num_pieces_));
    if (stands_alone) {
      flush();
      texts.push_back(token);
    } else {
      run.push_back(token);
    }
  }
  flush();
  std::string result;
  for (size_t i = 0; i < texts.size(); ++i) result.append(i > 0 ? " " : "").append(texts[i]);
  return result;
}

std::string SentencePieceTokenizer::decode_run(std::vector<std::string> tokens) const {
  const auto has_prefix = [](const std::string& token) { return token.rfind(kSpaceSymbol, 0) == 0; };
  if (has_prefix(tokens[0]) && settings_.add_prefix_space) tokens[0].erase(0, kSpaceSymbol.size());
  std::string result;
  std::vector<std::string> pieces;
  bool after_special = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (settings_.special.contains(tokens[i])) {
      if (!after_special && i != 0 && settings_.legacy) result += " ";
      result += decode_pieces(pieces) + tokens[i];
      pieces.clear();
      after_special = true;
    } else {
      if (after_special && i == 1 && settings_.add_prefix_space && !has_prefix(tokens[i])) result += " ";
      pieces.push_back(tokens[i]);
      after_special = false;
    }
  }
  return result + decode_pieces(pieces);
}

std::string SentencePieceTokenizer::decode_pieces(const std::vector<std::string>& pieces) const {
  std::string text;
  const auto status = processor_->Decode(pieces, &text);
  if (!status.ok()) throw model_error("[tokenizer.model] " + printable(status.error_message()));
  return text;
}

}  // namespace ddro::text
