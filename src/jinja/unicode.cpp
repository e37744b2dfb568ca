#include "jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "ddro/base/utf8.h"
#include "jinja/special_casing.h"

namespace ddro::jinja {
namespace {

struct CharRange {
  char32_t first, last;
};

// Other_Lowercase and Other_Uppercase of Unicode: cased characters whose category is not Ll or Lu.
constexpr CharRange kOtherLower[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},    {0x2E0, 0x2E4},
    {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78},  {0x1D9B, 0x1DBF},
    {0x2071, 0x2071},   {0x207F, 0x207F},   {0x2090, 0x209C},   {0x2170, 0x217F},  {0x24D0, 0x24E9},
    {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},  {0xAB5C, 0xAB5F},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}};
constexpr CharRange kOtherUpper[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
// Numeric_Type=Digit without the decimal digits.
constexpr CharRange kOtherDigit[] = {
    {0xB2, 0xB3},     {0xB9, 0xB9},       {0x1369, 0x1371},   {0x19DA, 0x19DA},   {0x2070, 0x2070},
    {0x2074, 0x2079}, {0x2080, 0x2089},   {0x2460, 0x2468},   {0x2474, 0x247C},   {0x2488, 0x2490},
    {0x24EA, 0x24EA}, {0x24F5, 0x24FD},   {0x24FF, 0x24FF},   {0x2776, 0x277E},   {0x2780, 0x2788},
    {0x278A, 0x2792}, {0x10A40, 0x10A43}, {0x10E60, 0x10E68}, {0x11052, 0x1105A}, {0x1F100, 0x1F10A}};
// Punctuation that Unicode's rule for the final sigma looks through (Word_Break MidLetter, MidNumLet,
// Single_Quote).
constexpr char32_t kMidLetter[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,  0x5F4,  0x2018, 0x2019,
                                   0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
constexpr char32_t kCapitalSigma = 0x3A3;

template <size_t N>
bool is_in(const CharRange (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const CharRange& range) { return range.first <= c && c <= range.last; });
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

bool is_case_ignorable(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME || kind == UTF8PROC_CATEGORY_CF ||
         kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_SK ||
         std::find(std::begin(kMidLetter), std::end(kMidLetter), c) != std::end(kMidLetter);
}

// Whether the capital sigma at `begin` ends a word, so that its lower case is the final form.
bool is_final_sigma(std::string_view text, size_t begin, size_t end) {
  size_t before = begin;
  char32_t c = 0;
  do {
    if (before == 0) return false;
    c = previous_code_point(text, before);
  } while (is_case_ignorable(c));
  if (!is_cased(c)) return false;
  while (end < text.size()) {
    c = next_code_point(text, end);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

void append_mapped(std::string& out, std::u32string_view mapped) {
  for (const char32_t c : mapped) append_utf8(out, c);
}

void write_upper(char32_t c, std::string& out) {
  if (const SpecialCase* special = find_special_case(c)) return append_mapped(out, special->upper);
  append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

void write_title(char32_t c, std::string& out) {
  if (const SpecialCase* special = find_special_case(c)) return append_mapped(out, special->title);
  append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
}

void write_lower(std::string_view text, size_t begin, size_t end, char32_t c, std::string& out) {
  if (c == 0x130) return append_mapped(out, U"i\u0307");
  if (c == kCapitalSigma) return append_utf8(out, is_final_sigma(text, begin, end) ? 0x3C2 : 0x3C3);
  append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

// map_code_points for mappings that depend on where the character is. `title` says for each character, given
// the one before (0 at the begin), whether it is to be a capital.
template <class IsCapital>
MarkedText map_case(const MarkedText& source, IsCapital is_capital) {
  size_t begin = 0;
  char32_t before = 0;
  return map_code_points(source, [&](char32_t c, std::string& out) {
    size_t end = begin;
    next_code_point(source.text, end);
    if (is_capital(before)) {
      write_title(c, out);
    } else {
      write_lower(source.text, begin, end, c, out);
    }
    begin = end;
    before = c;
  });
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_line_break(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool is_alpha(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t c) { return is_decimal(c) || is_in(kOtherDigit, c); }

bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO;
}

bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || is_in(kOtherUpper, c); }

bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || is_in(kOtherLower, c); }

bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

MarkedText to_upper(const MarkedText& source) { return map_code_points(source, write_upper); }

MarkedText to_lower(const MarkedText& source) {
  return map_case(source, [](char32_t) { return false; });
}

MarkedText to_capital(const MarkedText& source) {
  bool first = true;
  return map_case(source, [&](char32_t) { return std::exchange(first, false); });
}

MarkedText to_title(const MarkedText& source) {
  return map_case(source, [](char32_t before) { return !is_cased(before); });
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

size_t offset_of(std::string_view text, size_t index) {
  size_t offset = 0;
  for (; index > 0 && offset < text.size(); --index) {
    ++offset;
    while (offset < text.size() && (text[offset] & 0xC0) == 0x80) ++offset;
  }
  return offset;
}

char32_t previous_code_point(std::string_view text, size_t& offset) {
  --offset;
  while (offset > 0 && (text[offset] & 0xC0) == 0x80) --offset;
  size_t copy = offset;
  return next_code_point(text, copy);
}

size_t strip_begin(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    size_t next = offset;
    if (!is_space(next_code_point(text, next))) break;
    offset = next;
  }
  return offset;
}

size_t strip_end(std::string_view text) {
  size_t offset = text.size();
  while (offset > 0) {
    size_t next = offset;
    if (!is_space(previous_code_point(text, next))) break;
    offset = next;
  }
  return offset;
}

}  // namespace ddro::jinja
