// Unicode properties of code points, at the Unicode version of Hugging Face's tokenizers (16).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ddro::text {

enum CharacterFlags : std::uint8_t {
  kLetter = 1,  // \p{L}
  kNumber = 2,  // \p{N}
  kSpace = 4,   // \s, White_Space
  kWord = 8,    // \w: letters and other alphabetic characters, marks, decimal digits, connectors, joiners
};

// The flags of every code point, made once from Oniguruma's tables.
const std::uint8_t* character_table();

inline std::uint8_t character_flags(char32_t code_point) { return character_table()[code_point]; }

inline bool is_space(char32_t code_point) { return (character_flags(code_point) & kSpace) != 0; }

// The flags of the character that begins at `offset` of valid UTF-8, or of the one that ends there.
std::uint8_t flags_at(std::string_view text, size_t offset);
std::uint8_t flags_before(std::string_view text, size_t offset);

// `text`, or a copy in `storage` of the same length in which each character that Oniguruma's tables do not
// know yet is replaced by an older one of the same category and length. For matching only.
std::string_view with_known_characters(std::string_view text, std::string& storage);

}  // namespace ddro::text
