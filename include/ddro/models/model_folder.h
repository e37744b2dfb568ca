// Hugging Face model folders, in and out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/models/model_config.h"
#include "ddro/models/model_path.h"

namespace ddro::models {

struct ModelFolder {
  std::filesystem::path path;
  ModelConfig config;
  Json config_json;
  NamedTensors
      tensors;  // over the mapped files; in the order of CausalLm::parameters(); a tied head is absent
  std::vector<std::shared_ptr<MappedFile>> weight_files;
  std::string weights_hash;  // of names, dtypes, shapes and bytes: equal for equal weights, however sharded

  // Gives back the memory of the weights read so far; those that are used again are read again.
  void release_pages() const;
};

// Reads config.json and model.safetensors or the shards of model.safetensors.index.json. File names must be
// plain, and a link may leave the folder only as the Hugging Face cache's do (snapshots/<hash>/file ->
// ../../blobs/). Every parameter the configuration calls for must be there with its shape, in float64,
// float32, float16 or bfloat16; other tensors are refused, rotary inverse frequencies ignored, and a tied
// head that is stored must equal the embedding. A folder with pickle files only is refused with the way to
// convert it. Error(kModel).
ModelFolder open_model_folder(const std::filesystem::path& path);

// The files beside the weights that belong to a model folder and exist in this one: config.json,
// generation_config.json, tokenizer and chat template files.
std::vector<std::filesystem::path> auxiliary_files(const std::filesystem::path& folder);

enum class ExportDType { kKeep, kFloat32, kBFloat16, kFloat16 };

// Writes a Hugging Face folder: config.json (its dtype updated), model.safetensors (shards above 5 GB, with
// an index), tokenizer files, generation_config.json, chat template copied from `source_folder`. Written to a
// temporary folder beside `out`, synced, re-read and compared byte by byte, then renamed to `out`, which must
// not exist or be an empty folder. An interrupted export leaves the temporary folder alone, which the next
// export to `out` removes. `tensors` must be the parameters that the source's config.json calls for.
// Error(kInput) when `out` is in use or the tensors do not fit, Error(kModel) for the source, Error(kSave)
// when writing or the comparison fails.
void export_model_folder(const std::filesystem::path& source_folder, const NamedTensors& tensors,
                         ExportDType dtype, const std::filesystem::path& out);

}  // namespace ddro::models
