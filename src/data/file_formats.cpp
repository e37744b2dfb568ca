#include "data/file_formats.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "ddro/data/known_inputs.h"

namespace ddro::data {
namespace {

struct FileFormat {
  std::string_view ending;
  FileKind kind;
  const char* holds;
  const char* test;
};

// What a text begins with tells a list from lines, whatever its name.
constexpr FileFormat kFormats[] = {
    {".jsonl", FileKind::kText, "an object a line; blank lines are ignored", "data_test.Lines"},
    {".json", FileKind::kText, "a list of objects, or an object a line", "data_test.Items"},
    {".gz", FileKind::kGzip, "one of these, compressed by gzip (`.jsonl.gz`, `.json.gz`)",
     "Compressed.RowsAreThoseOfTheText"},
    {".zst", FileKind::kZstd, "the same, compressed by zstd", "Compressed.RowsAreThoseOfTheText"},
    {".parquet", FileKind::kParquet,
     "a row each; columns of text, numbers, booleans, lists and structs of these, as Hugging Face data sets "
     "have them",
     "ParquetRows.AreThoseOfTheLines"},
    {".arrow", FileKind::kArrow, "the same in Arrow's own format, as `save_to_disk` of `datasets` writes it",
     "ArrowRows.AreThoseOfTheLines"},
};

// "A or B"
std::string endings_of(std::initializer_list<FileKind> kinds) {
  std::string names;
  for (const FileFormat& format : kFormats) {
    if (std::find(kinds.begin(), kinds.end(), format.kind) != kinds.end())
      names += (names.empty() ? "" : " or ") + std::string(format.ending);
  }
  return names;
}

}  // namespace

FileKind file_kind(const std::string& path) {
  const auto* const format =
      std::find_if(std::begin(kFormats), std::end(kFormats),
                   [&](const FileFormat& each) { return path.ends_with(each.ending); });
  return format == std::end(kFormats) ? FileKind::kText : format->kind;
}

std::string format_names() {
  return endings_of({FileKind::kText}) + ", also with " + endings_of({FileKind::kGzip, FileKind::kZstd}) +
         " behind it, or " + endings_of({FileKind::kParquet, FileKind::kArrow});
}

std::vector<KnownInput> known_formats() {
  std::vector<KnownInput> all;
  for (const FileFormat& format : kFormats)
    all.push_back({std::string(format.ending), format.holds, format.test});
  return all;
}

}  // namespace ddro::data
