// What a template may use. A rendering that passes one of these ends with an error; together they keep it
// well under a second and under 200 MB, whatever the template does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ddro::jinja {

inline constexpr size_t kMaxTextBytes = size_t{4} << 20;  // the output, and any string on the way
inline constexpr std::uint64_t kMaxSteps =
    5'000'000;                                   // a step is a node evaluated, a list item or 16 bytes made
inline constexpr int kMaxNesting = 64;           // blocks and parentheses within each other
inline constexpr int kMaxExpressionDepth = 256;  // of a syntax tree, so that long chains of + are bounded too
inline constexpr int kMaxMacroDepth = 64;
inline constexpr int kMaxEvaluationDepth = 1000;
inline constexpr int kMaxDataDepth = 100;  // lists and dicts within each other
inline constexpr int kMaxIntegerBits = 1 << 20;
inline constexpr size_t kMaxDecimalDigits = 4300;  // that Python reads or writes
inline constexpr std::int64_t kMaxRange = 100'000;

}  // namespace ddro::jinja
