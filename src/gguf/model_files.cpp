#include "ddro/gguf/model_files.h"

#include <algorithm>

#include "ddro/gguf/hugging_face.h"

namespace ddro::gguf {

ModelFiles::ModelFiles(const std::filesystem::path& model) : model_(model) {
  if (is_gguf_file(model)) file_ = std::make_shared<const GgufFile>(model);
}

bool ModelFiles::has(const std::string& name) const {
  std::error_code ignored;
  if (!file_) return std::filesystem::exists(model_ / name, ignored);
  const auto names = file_names(*file_);
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string ModelFiles::read(const std::string& name, std::uint64_t max_bytes) const {
  if (!file_) return read_file(model_ / name, ErrorKind::kModel, max_bytes);
  std::string content = file_content(*file_, name);
  if (content.size() > max_bytes)
    throw model_error("[" + place(name) + "] has " + std::to_string(content.size()) +
                      " bytes; expected at most " + std::to_string(max_bytes));
  return content;
}

std::string ModelFiles::place(const std::string& name) const {
  return printable((model_ / name).string(), 400);
}

}  // namespace ddro::gguf
