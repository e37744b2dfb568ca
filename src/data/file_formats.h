// How a file is read, by the end of its name.
#pragma once

#include <string>

namespace ddro::data {

enum class FileKind { kText, kGzip, kZstd, kParquet, kArrow };

// Text, if its name ends otherwise than those that are known.
FileKind file_kind(const std::string& path);

// ".jsonl or .json, also with .gz or .zst behind it, or .parquet or .arrow"
std::string format_names();

}  // namespace ddro::data
