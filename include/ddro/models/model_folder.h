// Hugging Face model folders, in and out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/tensor_io.h"
#include "ddro/models/adapter.h"
#include "ddro/models/model_path.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

struct ModelFolder {
  std::filesystem::path path;  // of config.json and the weights, or a GGUF file; of a PEFT folder: its base's
  ModelSpec spec;
  Json config_json;
  NamedTensors
      tensors;  // over the mapped files, or unpacked; as CausalLm::parameters(): a tied head is absent
  std::vector<std::shared_ptr<MappedFile>> weight_files;
  std::string base_hash;     // of names, dtypes, shapes and bytes: equal for equal weights, however sharded
  std::string weights_hash;  // the same, or with an adapter of both

  // Of a PEFT folder: the model is the base with this adapter.
  std::optional<Adapter> adapter;
  std::filesystem::path adapter_path;

  // Gives back the memory of the weights read so far; those that are used again are read again.
  void release_pages() const;
};

enum class Remarks { kLogged, kSilent };  // about what a folder has that is not used

// Reads config.json and model.safetensors or the shards of model.safetensors.index.json. File names must be
// plain, and a link may leave the folder only as the Hugging Face cache's do (snapshots/<hash>/file ->
// ../../blobs/). Every parameter the configuration calls for must be there with its shape, in float64,
// float32, float16 or bfloat16. Heads of other tasks (v_head, score) are left out and logged, stored tables
// (rotary frequencies, causal masks) ignored, and other tensors refused; a tied head that is stored must
// equal the embedding. Where every name lacks its first part ("model."), so do the names of `spec`. A folder
// with pickle files only is refused with the way to convert it. A PEFT folder is opened with its base (see
// adapter_base). A GGUF file is read as the folder that it stands for (ddro/gguf/hugging_face.h), its blocks
// unpacked to float32. Error(kModel).
ModelFolder open_model_folder(const std::filesystem::path& path, Remarks remarks = Remarks::kLogged);

// The same of an adapter on the base in `base_path`, whatever base the adapter's folder names.
ModelFolder open_adapter_folder(const std::filesystem::path& adapter_path,
                                const std::filesystem::path& base_path);

// `folder`, opened with an adapter, as a model without one: merged_weights.
ModelFolder merge_adapter(const ModelFolder& folder, at::ScalarType type);

enum class ExportDType { kKeep, kFloat32, kBFloat16, kFloat16 };

struct EndToken {
  std::string text;
  std::vector<std::int64_t> ids;  // at which generation stops: the text's, then further ones
};

// How a folder that is written differs from the one it is made from. What is not set stays as it is there.
struct ExportOptions {
  ExportDType dtype = ExportDType::kKeep;                   // kKeep: as the given tensors are
  std::optional<std::string> chat_template = std::nullopt;  // Jinja source: then the folder's only template
  std::optional<EndToken> eos_token = std::nullopt;         // ends a turn, for every reader of the folder
  bool own_head = false;  // the head, tied to the embedding in config.json, is a tensor of its own
  // A folder whose files stand in for those of the same names: an adapter's with its tokenizer.
  std::optional<std::filesystem::path> text_folder = std::nullopt;
  std::optional<std::string> model_card = std::nullopt;  // README.md
  std::uint64_t max_shard_bytes = 5'000'000'000;  // Hugging Face's default; a larger tensor is a shard alone
};

struct FolderFile {
  std::string name;  // relative: NAME or SUBFOLDER/NAME
  std::string content;
};

// Everything but the weights that decides what a model computes and how it is prompted: every file of
// `source_folder`, or those that a GGUF file stands for, and every subfolder of nothing but small text files
// (additional_chat_templates), save what is hidden, weights of any format and their indices, the state of a
// training run, Python modules (`auto_map` goes with them: no family that is known here needs one) and README
// files, which describe the source model; ExportOptions::model_card takes their place.
//
// config.json says the type of `tensors` under `options`, as torch_dtype and, where it is there, dtype.
// A chat template is written to chat_template.jinja and wherever the source has another; an end token to
// generation_config.json (all of its ids) and config.json (the first; all where it decides alone),
// tokenizer_config.json and special_tokens_map.json.
//
// Error(kModel): no config.json, a link that leaves the folder, JSON that is to be changed and is not valid,
// more than 512 MiB. Files above 128 MiB are taken for data and left out.
std::vector<FolderFile> inference_files(const std::filesystem::path& source_folder,
                                        const NamedTensors& tensors, const ExportOptions& options);

// Writes a Hugging Face folder: model.safetensors (or shards with an index) and inference_files. Written to a
// temporary folder beside `out`, synced, re-read and compared, the weights by the hash of what was written,
// then renamed to `out`, which must not exist or be an empty folder. An interrupted export leaves the
// temporary folder alone, which the next export to `out` removes. `tensors` must be the parameters that the
// source's config.json calls for. Error(kInput) when `out` is in use or the tensors do not fit, Error(kModel)
// for the source, Error(kSave) when writing or the comparison fails. Sources are fetched once each.
void export_model_folder(const std::filesystem::path& source_folder, const TensorSources& tensors,
                         const ExportOptions& options, const std::filesystem::path& out);
void export_model_folder(const std::filesystem::path& source_folder, const NamedTensors& tensors,
                         const ExportOptions& options, const std::filesystem::path& out);

// The same of a PEFT folder: adapter_config.json in place of config.json, which transformers would take for
// the model's.
std::vector<FolderFile> adapter_files(const ModelFolder& base, const Adapter& adapter,
                                      const ExportOptions& options);

// As export_model_folder, a PEFT folder: adapter_model.safetensors and adapter_files. `tensors`: of
// `adapter`, as they are now.
void export_adapter_folder(const ModelFolder& base, const Adapter& adapter, const NamedTensors& tensors,
                           const ExportOptions& options, const std::filesystem::path& out);

}  // namespace ddro::models

namespace ddro {

template <>
struct EnumNames<models::ExportDType> {
  using E = models::ExportDType;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"keep", E::kKeep}, {"float32", E::kFloat32}, {"bfloat16", E::kBFloat16}, {"float16", E::kFloat16}}};
};

}  // namespace ddro
