// Where tests/fixtures/make_tokenizers.py put its files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/json.h"

namespace ddro::text {

inline std::filesystem::path tokenizer_fixtures() {
  const char* folder = std::getenv("DDRO_FIXTURES");
  const std::filesystem::path path = std::filesystem::path(folder ? folder : "") / "tokenizers";
  if (!std::filesystem::exists(path / "normal_forms.jsonl")) {
    throw std::runtime_error("no fixtures in " + path.string() +
                             "; make them with tests/fixtures/make_tokenizers.py");
  }
  return path;
}

inline std::vector<Json> read_lines(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  std::vector<Json> rows;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    rows.push_back(Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                               text.begin() + static_cast<std::ptrdiff_t>(end)));
    begin = end + 1;
  }
  return rows;
}

}  // namespace ddro::text
