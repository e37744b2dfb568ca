#include "models/export.h"

#include <ATen/ATen.h>

#include <cstdio>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/gguf/model_files.h"
#include "ddro/models/model_config.h"
#include "models/parameters.h"
#include "models/whole_folder.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::string> kMetadata{{"format", "pt"}};

// Consecutive tensors that share a file.
std::vector<NamedTensors> plan_shards(const NamedTensors& tensors, ExportDType dtype,
                                      std::uint64_t max_bytes) {
  std::vector<NamedTensors> shards(1);
  std::uint64_t size = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::uint64_t bytes = static_cast<std::uint64_t>(tensor.numel()) *
                                c10::elementSize(exported_type(dtype, tensor.scalar_type()));
    if (!shards.back().empty() && size + bytes > max_bytes) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().emplace_back(name, tensor);
    size += bytes;
  }
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

void write_weights(const fs::path& folder, const NamedTensors& tensors, const ExportOptions& options) {
  const auto shards = plan_shards(tensors, options.dtype, options.max_shard_bytes);
  Json weight_map = Json::object();
  std::uint64_t total_size = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = shard_name(i, shards.size());
    NamedTensors out;
    for (const auto& [name, tensor] : shards[i]) {
      out.emplace_back(name, exported(tensor, options.dtype));
      weight_map[name] = file;
      total_size += out.back().second.nbytes();
    }
    write_tensors(folder / file, out, kMetadata);
    failpoint("export_after_shard");
  }
  if (shards.size() == 1) return;
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
  write_new_file(folder / "model.safetensors.index.json", index.dump(2) + "\n");
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

Tensor exported(const Tensor& tensor, ExportDType dtype) {
  return tensor.detach().to(at::kCPU, exported_type(dtype, tensor.scalar_type())).contiguous();
}

void export_model_folder(const fs::path& source_folder, const NamedTensors& tensors,
                         const ExportOptions& given, const fs::path& out) {
  const fs::path target = checked_target(out);
  const ModelSpec source = read_spec(source_folder, tensors);
  const ModelSpec spec = with_own_head(source, tensors);
  ExportOptions options = given;
  options.own_head = spec.tie_word_embeddings != source.tie_word_embeddings;
  const std::vector<FolderFile> files = inference_files(source_folder, tensors, options);
  const NamedTensors matched = match_parameters(spec, tensors, "export", ErrorKind::kInput);
  write_whole_folder(target, {.write =
                                  [&](const fs::path& folder) {
                                    write_weights(folder, matched, options);
                                    write_files(folder, files);
                                  },
                              .check =
                                  [&](const fs::path& folder) {
                                    check_tensors(open_model_folder(folder, Remarks::kSilent).tensors,
                                                  matched, options.dtype);
                                    check_files(folder, files);
                                  }});
}

}  // namespace ddro::models
