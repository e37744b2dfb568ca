// Scripts of code points, as the tables behind Hugging Face's tokenizers give them: those of Unicode 9.
#pragma once

#include <cstdint>

namespace ddro::text {

// Goes with its neighbours: the space, and code points that no character is assigned to.
inline constexpr std::uint8_t kAnyScript = 0;

// A number for each script; one for all that Japanese is written in.
std::uint8_t joined_script_of(char32_t code_point);

}  // namespace ddro::text
