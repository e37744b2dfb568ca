#include "text/bpe_model.h"

#include <algorithm>

#include "ddro/base/utf8.h"
#include "text/byte_alphabet.h"

namespace ddro::text {

BpeModel::BpeModel(const Component& component, bool bytes) : bytes_(bytes), place_(component.place()) {
  component.expect_only({"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                         "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (component.has("dropout") && component.at("dropout") != 0) component.refuse("dropout is not supported");
  prefix_ = component.text_or("continuing_subword_prefix", "");
  suffix_ = component.text_or("end_of_word_suffix", "");
  fuse_unknown_ = component.flag_or("fuse_unk", false);
  ignore_merges_ = component.flag_or("ignore_merges", false);
  read_vocabulary(component);
  index_vocabulary(component);
  read_merges(component);
}

void BpeModel::index_vocabulary(const Component& component) {
  if (component.has("unk_token")) {
    has_unknown_ = true;
    const auto found = vocabulary_.find(component.text("unk_token"));
    if (found != vocabulary_.end()) unknown_ = found->second;
  }
  fallback_.fill(-1);
  if (component.flag_or("byte_fallback", false)) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const auto found = vocabulary_.find(byte_fallback_token(static_cast<unsigned char>(byte)));
      if (found != vocabulary_.end()) fallback_[byte] = found->second;
    }
  }
  for (const auto& [token, id] : vocabulary_) {
    size_t length = 0;
    if (token.empty()) continue;
    const char32_t first = next_code_point(token, length);
    if (length == token.size()) characters_[first].id = id;
    if (!bytes_ || !ignore_merges_) continue;
    const auto raw = bytes_behind(token);
    if (raw) words_.emplace(*raw, id);
  }
  if (bytes_) make_byte_units();
}

void BpeModel::make_byte_units() {
  for (int byte = 0; byte < 256; ++byte) {
    byte_units_.push_back(make_unit(byte_character(static_cast<unsigned char>(byte))));
  }
}

BpeModel::Unit BpeModel::make_unit(std::string_view character) const {
  Unit unit;
  const auto found = vocabulary_.find(character);
  if (found != vocabulary_.end()) {
    unit.id = found->second;
    return unit;
  }
  for (const char byte : character) {
    const TokenId id = fallback_[static_cast<unsigned char>(byte)];
    if (id < 0) return Unit{};
    unit.fallback.push_back(id);
  }
  return unit;
}

std::string BpeModel::with_affixes(std::string_view word, size_t offset, size_t length) const {
  std::string text = offset > 0 ? prefix_ : "";
  text += bytes_ ? std::string_view(byte_character(static_cast<unsigned char>(word[offset])))
                 : word.substr(offset, length);
  return offset + length == word.size() ? text + suffix_ : text;
}

void BpeModel::read_merges(const Component& component) {
  const Value& list = component.at("merges");
  if (!list.is_array()) component.refuse("merges: expected a list");
  merges_ = PairTable(list.size());
  std::uint32_t rank = 0;
  for (const Value& entry : list) {
    const std::string number = std::to_string(rank);
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      add_merge(entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>(), rank++,
                component);
    } else if (entry.is_string()) {
      const auto& text = entry.get_ref<const std::string&>();
      if (text.rfind("#version", 0) == 0) continue;
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
        component.refuse("merge " + number + ": got \"" + printable(text) + "\", expected two tokens");
      }
      add_merge(text.substr(0, space), text.substr(space + 1), rank++, component);
    } else {
      component.refuse("merge " + number + ": expected \"a b\" or [\"a\", \"b\"]");
    }
  }
}

void BpeModel::add_merge(const std::string& left, const std::string& right, std::uint32_t rank,
                         const Component& component) {
  TokenId ids[3];
  if (!right.starts_with(prefix_)) {
    component.refuse("merge " + std::to_string(rank) + ": got \"" + printable(right) +
                     "\", expected a token that begins with \"" + printable(prefix_) + "\"");
  }
  const std::string texts[3] = {left, right, left + right.substr(prefix_.size())};
  for (int i = 0; i < 3; ++i) {
    const auto found = vocabulary_.find(texts[i]);
    if (found == vocabulary_.end()) {
      component.refuse("merge " + std::to_string(rank) + " needs \"" + printable(texts[i]) +
                       "\", which is not in the vocabulary");
    }
    ids[i] = found->second;
  }
  if (left.empty() || right.empty()) component.refuse("merge " + std::to_string(rank) + " has an empty side");
  merges_.set(ids[0], ids[1], {rank, ids[2]});
  if (produced_.size() <= static_cast<size_t>(ids[2])) produced_.resize(static_cast<size_t>(ids[2]) + 1);
  produced_[static_cast<size_t>(ids[2])] = true;
  const std::string raw = bytes_ ? bytes_behind(texts[2]).value_or("") : texts[2];
  for (size_t i = 0; i + 1 < raw.size(); ++i) {
    joined_.set(static_cast<size_t>(static_cast<unsigned char>(raw[i])) * 256 +
                static_cast<unsigned char>(raw[i + 1]));
  }
}

}  // namespace ddro::text
