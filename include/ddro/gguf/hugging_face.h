// What a GGUF file's metadata and table of tensors say, as the Hugging Face folder that it was made from
// would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ddro/base/gguf_file.h"

namespace ddro::gguf {

// The names of the folder's files but the weights: config.json, generation_config.json, tokenizer.json or
// tokenizer.model, tokenizer_config.json, and chat_template.jinja where the file has one. An adapter has none
// of them.
std::vector<std::string> file_names(const GgufFile& file);

// The content of the file of that name, one of file_names. Error(kModel) that names the file and the key:
// architectures that are not known, keys of theirs that are not (they might change what the model computes),
// files that are a part of a model, and tokenizers whose rules the file does not say to the letter.
std::string file_content(const GgufFile& file, const std::string& name);

// A tensor of the model under its name in the folder.
struct ModelTensor {
  std::string name;
  const GgufTensor* tensor = nullptr;  // of the file
  // Above 0: the rows are those of so many heads, and those of a head's two halves take turns (row 2i is the
  // folder's row i of the head, row 2i + 1 its row i of the second half).
  std::int64_t heads_of_pairs = 0;
  bool plus_one = false;  // 1 is added to the folder's numbers
};

// In the file's order; its tables are left out. Error(kModel) as of config.json, and for a tensor of another
// name.
std::vector<ModelTensor> model_tensors(const GgufFile& file);

}  // namespace ddro::gguf
