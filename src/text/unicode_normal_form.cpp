#include "text/unicode_normal_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"

namespace ddro::text {
namespace {

// Characters later than Unicode 9 that utf8proc gives a combining class or a decomposition.
constexpr char32_t kTooNew[][2] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
    {0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x10781, 0x10785},
    {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
    {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F},
    {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9}};

bool too_new(char32_t c) {
  const auto range = std::lower_bound(std::begin(kTooNew), std::end(kTooNew), c,
                                      [](const char32_t(&r)[2], char32_t value) { return r[1] < value; });
  return range != std::end(kTooNew) && c >= (*range)[0];
}

// Lower case, with what Unicode 16 added.
char32_t lower(char32_t c) {
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;
  switch (c) {
    case 0x1C89:
      return 0x1C8A;
    case 0xA7CB:
      return 0x264;
    case 0xA7CC:
      return 0xA7CD;
    case 0xA7DA:
      return 0xA7DB;
    case 0xA7DC:
      return 0x19B;
    default:
      return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }
}

// One character of the result. `consumed`: 0 for a character that is new; else how many characters of the old
// text it stands for, in order of position (canonical reordering moves characters, not this count).
struct Item {
  char32_t code_point;
  int combining_class;
  int consumed;
};

int combining_class(char32_t c) {
  return too_new(c) ? 0 : utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
}

// The character that `a` and `b` make, or 0.
char32_t compose(char32_t a, char32_t b) {
  utf8proc_int32_t pair[2] = {static_cast<utf8proc_int32_t>(a), static_cast<utf8proc_int32_t>(b)};
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  if (utf8proc_normalize_utf32(pair, 2, options) != 1) return 0;
  const auto composed = static_cast<char32_t>(pair[0]);
  return too_new(composed) || too_new(b) ? 0 : composed;
}

std::vector<Item> decompose(std::string_view text, bool compatible) {
  std::vector<Item> items;
  items.reserve(text.size());
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : UTF8PROC_STABLE));
  size_t unsorted = 0;
  const auto sort_marks = [&] {
    std::stable_sort(items.begin() + static_cast<std::ptrdiff_t>(unsorted), items.end(),
                     [](const Item& a, const Item& b) { return a.combining_class < b.combining_class; });
    unsorted = items.size();
  };
  for (size_t offset = 0; offset < text.size();) {
    const char32_t code_point = next_code_point(text, offset);
    utf8proc_int32_t parts[32];  // the longest decomposition has 18
    utf8proc_ssize_t count = 1;
    parts[0] = static_cast<utf8proc_int32_t>(code_point);
    if (code_point >= 0x80 && !too_new(code_point)) {
      int boundary_class = 0;
      count = utf8proc_decompose_char(parts[0], parts, 32, options, &boundary_class);
      DDRO_CHECK(count > 0 && count <= 32, "utf8proc_decompose_char");
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      const auto part = static_cast<char32_t>(parts[i]);
      const int rank = part < 0x300 ? 0 : combining_class(part);
      if (rank == 0) sort_marks();
      items.push_back({part, rank, i == 0 ? 1 : 0});
    }
  }
  sort_marks();
  return items;
}

void recompose(std::vector<Item>& items) {
  size_t size = 0;                           // of the result, built in place
  size_t starter = static_cast<size_t>(-1);  // the last character with class 0 in the result
  int last_class = 0;  // of the character before, back to the starter; 0: it is the starter
  for (const Item item : items) {
    if (starter != static_cast<size_t>(-1) && (last_class == 0 || last_class < item.combining_class)) {
      const char32_t composed = compose(items[starter].code_point, item.code_point);
      if (composed != 0) {
        items[starter].code_point = composed;
        items[starter].consumed += item.consumed;
        continue;
      }
    }
    if (item.combining_class == 0) starter = size;
    last_class = item.combining_class;
    items[size++] = item;
  }
  items.resize(size);
}

// True when NFC certainly leaves `text` as it is.
bool is_plain(std::string_view text) {
  for (size_t offset = 0; offset < text.size();) {
    if (static_cast<unsigned char>(text[offset]) < 0xCC) {  // below U+0300 nothing composes
      offset += utf8_length(text[offset]);
      continue;
    }
    const auto c = static_cast<utf8proc_int32_t>(next_code_point(text, offset));
    const utf8proc_property_t* property = utf8proc_get_property(c);
    const bool may_join = property->comb_index != UINT16_MAX && property->comb_index >= 0x8000;
    const bool hangul_part = c >= 0x1161 && c <= 0x11FF;
    if (property->combining_class != 0 || property->decomp_seqindex != UINT16_MAX || may_join ||
        hangul_part) {
      return false;
    }
  }
  return true;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Writes the items; each takes the place of the characters it consumed.
AlignedText rewrite(const std::vector<Item>& items, const AlignedText& from) {
  Rewriter rewriter(from);
  const std::string_view old = from.text();
  for (const Item& item : items) {
    std::string encoded;
    append_utf8(encoded, item.code_point);
    size_t end = rewriter.position();
    for (int i = 0; i < item.consumed && end < old.size(); ++i) end += utf8_length(old[end]);
    if (end > rewriter.position()) {
      rewriter.replace(end - rewriter.position(), encoded);
    } else {
      rewriter.insert(encoded);
    }
  }
  return rewriter.finish();
}

}  // namespace

void normalize(NormalForm form, AlignedText& text) {
  const bool composed = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  if (form == NormalForm::kNfc ? is_plain(text.text()) : is_ascii(text.text())) return;
  std::vector<Item> items = decompose(text.text(), form == NormalForm::kNfkc || form == NormalForm::kNfkd);
  if (composed) recompose(items);
  std::string result;
  for (const Item& item : items) append_utf8(result, item.code_point);
  if (result != text.text()) text = rewrite(items, text);
}

void lower_case(AlignedText& text) {
  const std::string_view old = text.text();
  Rewriter rewriter(text);
  for (size_t offset = 0; offset < old.size();) {
    const size_t begin = offset;
    const char32_t code_point = next_code_point(old, offset);
    std::string encoded;
    append_utf8(encoded, lower(code_point));
    if (code_point == 0x130) encoded = "i\xCC\x87";  // the one character that becomes two
    rewriter.replace(offset - begin, encoded);
  }
  text = rewriter.finish();
}

}  // namespace ddro::text
