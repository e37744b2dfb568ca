// General categories of code points, as the tables behind Hugging Face's tokenizers give them: these are
// older than those of the regular expressions (character_class.h), of Unicode 8 and, for is_mark, 9.
#pragma once

namespace ddro::text {

bool is_other(char32_t code_point);            // Cc, Cf, Co
bool is_nonspacing_mark(char32_t code_point);  // Mn
bool is_mark(char32_t code_point);             // Mn, Mc, Me
bool is_punctuation(
    char32_t code_point);  // P, and every ASCII character that is printed and no letter or digit

}  // namespace ddro::text
