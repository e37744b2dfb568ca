#include "data/data_files.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

#include "ddro/base/error.h"

namespace ddro::data {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr std::array<const char*, 9> kOtherFormats = {".parquet", ".zst",   ".gz",  ".bz2", ".xz",
                                                      ".zip",     ".arrow", ".csv", ".tsv"};

std::vector<std::string> matches_of(const std::string& pattern) {
  std::error_code ignored;
  if (std::filesystem::exists(pattern, ignored)) return {pattern};
  glob_t found{};
  const int failure = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::string> paths;
  if (failure == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (failure != 0 && failure != GLOB_NOMATCH) {
    throw input_error("[data] " + shown_path(pattern) + ": cannot be searched for; " + std::strerror(errno));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Pipes and devices could be waited for without end, and could not be read again on a resume.
void check_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw input_error(
        "[data] " + shown_path(path) +
        (std::filesystem::is_directory(path, ignored) ? ": is a folder" : ": is not a regular file") +
        "; expected a file of JSON lines");
  }
  for (const char* ending : kOtherFormats) {
    if (path.ends_with(ending)) {
      throw input_error("[data] " + shown_path(path) + ": " + ending +
                        " files are not supported; expected JSON lines (.jsonl), uncompressed");
    }
  }
}

}  // namespace

std::string shown_path(const std::string& path) { return printable(path, 400); }

std::vector<std::string> expand_patterns(const std::vector<std::string>& patterns) {
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) {
    const std::vector<std::string> matches = matches_of(pattern);
    if (matches.empty()) {
      throw input_error("[data] " + shown_path(pattern) +
                        ": no such file; relative paths are relative to the working directory");
    }
    for (const std::string& path : matches) check_file(path);
    paths.insert(paths.end(), matches.begin(), matches.end());
  }
  return paths;
}

std::string too_long_reason() {
  return "the line has more than " + std::to_string(kMaxLineBytes >> 20) + " MB";
}

LineReader::LineReader(const std::string& path, Hasher& hasher)
    : path_(shown_path(path)), hasher_(hasher), file_(std::fopen(path.c_str(), "rb")), buffer_(kBufferBytes) {
  if (!file_) throw input_error("[data] " + path_ + ": cannot be opened; " + std::strerror(errno));
}

bool LineReader::fill() {
  begin_ = 0;
  end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
  if (std::ferror(file_.get()))
    throw input_error("[data] " + path_ + ": cannot be read; " + std::strerror(errno));
  hasher_.update(std::as_bytes(std::span(buffer_.data(), end_)));
  return end_ > 0;
}

bool LineReader::read_line(Line& line) {
  line.text.clear();
  line.too_long = false;
  line.unterminated = true;
  bool any = false;
  while (line.unterminated && (begin_ < end_ || fill())) {
    any = true;
    const char* start = buffer_.data() + begin_;
    const size_t available = end_ - begin_;
    const void* newline = std::memchr(start, '\n', available);
    const size_t length =
        newline ? static_cast<size_t>(static_cast<const char*>(newline) - start) : available;
    line.unterminated = !newline;
    line.too_long = line.too_long || line.text.size() + length > kMaxLineBytes;
    if (line.too_long) {
      std::string().swap(line.text);
    } else {
      line.text.append(start, length);
    }
    begin_ += length + (newline ? 1 : 0);
  }
  return any;
}

bool LineReader::next(Line& line) {
  while (read_line(line)) {
    ++number_;
    if (number_ == 1 && line.text.starts_with("\xEF\xBB\xBF")) line.text.erase(0, 3);
    if (!line.too_long && line.text.find_first_not_of(" \t\r") == std::string::npos) continue;
    line.where = path_ + ":" + std::to_string(number_);
    return true;
  }
  return false;
}

}  // namespace ddro::data
