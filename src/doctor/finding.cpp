#include "ddro/doctor/finding.h"

#include <algorithm>

namespace ddro::doctor {
namespace {

std::string padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

}  // namespace

std::string to_line(const Finding& finding) {
  constexpr size_t kStatusWidth = 7, kNameWidth = 32;
  return padded(enum_name(finding.status), kStatusWidth) + "  " + padded(finding.name, kNameWidth) + "  " +
         finding.text + (finding.hint.empty() ? "" : "; " + finding.hint);
}

Json to_json(const Finding& finding) {
  return {{"name", finding.name},
          {"status", enum_name(finding.status)},
          {"value", finding.value},
          {"text", finding.text},
          {"hint", finding.hint}};
}

}  // namespace ddro::doctor
