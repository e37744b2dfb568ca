// A model of a few hundred parameters, as a folder on disk.
#pragma once

#include <ATen/ATen.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "ddro/base/json.h"
#include "ddro/base/tensor_io.h"
#include "ddro/models/model_config.h"

namespace ddro::test {

namespace fs = std::filesystem;

inline void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline Json tiny_config() {
  return Json{{"architectures", {"LlamaForCausalLM"}},
              {"model_type", "llama"},
              {"vocab_size", 11},
              {"hidden_size", 8},
              {"intermediate_size", 12},
              {"num_hidden_layers", 2},
              {"num_attention_heads", 2},
              {"num_key_value_heads", 1},
              {"tie_word_embeddings", false},
              {"torch_dtype", "float32"},
              {"a_key_of_tomorrow", 7}};
}

inline NamedTensors tiny_tensors(const Json& config) {
  at::manual_seed(1);
  NamedTensors tensors;
  for (const auto& spec : models::parameters_of(models::parse_model_config(config, "tiny"))) {
    tensors.emplace_back(spec.name, at::randn(spec.shape));
  }
  return tensors;
}

inline void write_folder(const fs::path& folder, const Json& config, const NamedTensors& tensors) {
  fs::create_directories(folder);
  write_file(folder / "config.json", config.dump(2));
  fs::remove(folder / "model.safetensors");
  write_tensors(folder / "model.safetensors", tensors, {});
}

}  // namespace ddro::test
