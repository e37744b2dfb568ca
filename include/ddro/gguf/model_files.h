// The small files of a model that are read by name, wherever they come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "ddro/base/gguf_file.h"

namespace ddro::gguf {

// Those of a folder, or those that a GGUF file stands for.
class ModelFiles {
 public:
  // Implicit: who has a model's path has its files. Error(kModel) for a broken GGUF file.
  ModelFiles(const std::filesystem::path& model);  // NOLINT(google-explicit-constructor)

  bool has(const std::string& name) const;
  // Error(kModel) if it is not there, or longer.
  std::string read(const std::string& name, std::uint64_t max_bytes = std::uint64_t{1} << 30) const;

  const std::filesystem::path& model() const { return model_; }
  // For messages.
  std::string place(const std::string& name) const;

 private:
  std::filesystem::path model_;
  std::shared_ptr<const GgufFile> file_;  // null: a folder
};

}  // namespace ddro::gguf
