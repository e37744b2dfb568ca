// What GGUF files call the tensors of a Hugging Face folder: the way back from ddro/gguf/hugging_face.h.
#pragma once

#include <optional>
#include <string>

namespace ddro::gguf {

// general.architecture of models of a config.json's model_type. Error(kInput) for a type whose files are not
// known.
std::string architecture_of_type(const std::string& model_type);
bool is_known_type(const std::string& model_type);

struct FileTensor {
  std::string name;
  bool paired_rows = false;  // the rows of a head's two halves take turns
  bool plus_one = false;     // the file's numbers are greater by 1
};

// Of the tensor that the folder calls `name`. Error(kInput) for one that the files do not have.
FileTensor file_tensor(const std::string& model_type, const std::string& name);
// The same, and nothing where the files do not have it.
std::optional<FileTensor> find_file_tensor(const std::string& model_type, const std::string& name);

}  // namespace ddro::gguf
