#include "models/export.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <map>
#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/gguf/model_files.h"
#include "ddro/models/model_config.h"
#include "models/parameters.h"
#include "models/whole_folder.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::string> kMetadata{{"format", "pt"}};

// Names, types and shapes, without numbers.
NamedTensors outlines_of(const TensorSources& sources) {
  NamedTensors outlines;
  for (const TensorSource& source : sources)
    outlines.emplace_back(source.name,
                          at::empty(source.sizes, at::TensorOptions(at::kMeta).dtype(source.dtype)));
  return outlines;
}

// As a file gets them, in the order of `names`.
TensorSources exported(const TensorSources& sources, const NamedTensors& names, ExportDType dtype) {
  std::unordered_map<std::string, const TensorSource*> by_name;
  for (const TensorSource& source : sources) by_name[source.name] = &source;
  TensorSources result;
  for (const auto& [name, outline] : names) {
    const TensorSource& source = *by_name.at(name);
    result.push_back({name, exported_type(dtype, source.dtype), source.sizes,
                      [name = name, fetch = source.fetch, dtype] { return exported(name, fetch(), dtype); }});
  }
  return result;
}

// Consecutive tensors that share a file.
std::vector<TensorSources> plan_shards(const TensorSources& tensors, std::uint64_t max_bytes) {
  std::vector<TensorSources> shards(1);
  std::uint64_t size = 0;
  for (const TensorSource& tensor : tensors) {
    if (!shards.back().empty() && size + tensor.nbytes() > max_bytes) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().push_back(tensor);
    size += tensor.nbytes();
  }
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

using Hashes = std::map<std::string, std::string>;  // by file

Hashes write_weights(const fs::path& folder, const TensorSources& tensors, std::uint64_t max_bytes) {
  const auto shards = plan_shards(tensors, max_bytes);
  Hashes hashes;
  Json weight_map = Json::object();
  std::uint64_t total_size = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = shard_name(i, shards.size());
    for (const TensorSource& tensor : shards[i]) {
      weight_map[tensor.name] = file;
      total_size += tensor.nbytes();
    }
    hashes[file] = write_tensors(folder / file, shards[i], kMetadata);
    failpoint("export_after_shard");
  }
  if (shards.size() == 1) return hashes;
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
  write_new_file(folder / "model.safetensors.index.json", index.dump(2) + "\n");
  return hashes;
}

void check_weights(const fs::path& folder, const Hashes& hashes) {
  for (const auto& [file, hash] : hashes) {
    if (hash_file(folder / file, ErrorKind::kSave) != hash) throw save_error(file + " differs");
  }
  open_model_folder(folder, Remarks::kSilent);
}

ModelSpec read_spec(const fs::path& folder, const NamedTensors& tensors) {
  const std::string name = "config.json";
  const gguf::ModelFiles files(folder);
  const Json config = parse_json(files.read(name), files.place(name), ErrorKind::kModel);
  return named_as(parse_model_config(config, files.place(name)), tensors);
}

}  // namespace

at::ScalarType exported_type(ExportDType dtype, at::ScalarType kept) {
  switch (dtype) {
    case ExportDType::kKeep:
      return kept;
    case ExportDType::kFloat32:
      return at::kFloat;
    case ExportDType::kBFloat16:
      return at::kBFloat16;
    case ExportDType::kFloat16:
      return at::kHalf;
  }
  return kept;
}

Tensor exported(const std::string& name, const Tensor& tensor, ExportDType dtype) {
  const at::ScalarType type = exported_type(dtype, tensor.scalar_type());
  const Tensor result = tensor.detach().to(at::kCPU, type).contiguous();
  if (type == at::kHalf && tensor.scalar_type() != type && !result.isfinite().all().item<bool>()) {
    throw model_error("[export] " + name +
                      " has numbers that float16 does not hold, beyond 65504 or not finite; "
                      "export bfloat16 or float32");
  }
  return result;
}

void export_model_folder(const fs::path& source_folder, const TensorSources& tensors,
                         const ExportOptions& given, const fs::path& out) {
  const fs::path target = checked_target(out);
  const NamedTensors outlines = outlines_of(tensors);
  const ModelSpec source = read_spec(source_folder, outlines);
  const ModelSpec spec = with_own_head(source, outlines);
  ExportOptions options = given;
  options.own_head = spec.tie_word_embeddings != source.tie_word_embeddings;
  const std::vector<FolderFile> files = inference_files(source_folder, outlines, options);
  const TensorSources matched =
      exported(tensors, match_parameters(spec, outlines, "export", ErrorKind::kInput), options.dtype);
  Hashes hashes;
  write_whole_folder(target, {.write =
                                  [&](const fs::path& folder) {
                                    hashes = write_weights(folder, matched, options.max_shard_bytes);
                                    write_files(folder, files);
                                  },
                              .check =
                                  [&](const fs::path& folder) {
                                    check_weights(folder, hashes);
                                    check_files(folder, files);
                                  }});
}

void export_model_folder(const fs::path& source_folder, const NamedTensors& tensors,
                         const ExportOptions& options, const fs::path& out) {
  export_model_folder(source_folder, sources_of(tensors), options, out);
}

}  // namespace ddro::models
