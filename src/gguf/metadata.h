// A GGUF file's metadata, key by key.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "ddro/base/gguf_file.h"

namespace ddro::gguf {

// Keys of one architecture, without its name in front; which of them were asked for.
class Metadata {
 public:
  Metadata(const GgufFile& file, std::string architecture)
      : file_(file), prefix_(std::move(architecture) + ".") {}

  std::optional<std::uint64_t> integer(const std::string& key) { return file_.integer(named(key)); }
  std::uint64_t required(const std::string& key);
  // The shortest decimal of a number of 32 bits: what it was before it was rounded to them.
  std::optional<double> number(const std::string& key);
  std::optional<std::string> text(const std::string& key) { return file_.text(named(key)); }

  // Keys that were not asked for might change what a model computes.
  void refuse_others() const;
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const;
  const GgufFile& file() const { return file_; }

 private:
  std::string named(const std::string& key);

  const GgufFile& file_;
  std::string prefix_;
  std::set<std::string> known_;
};

}  // namespace ddro::gguf
