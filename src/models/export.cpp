#include "models/export.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <cstring>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/models/model_config.h"
#include "models/parameters.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::string> kMetadata{{"format", "pt"}};

std::string shown(const fs::path& path) { return printable(path.string(), 400); }

Tensor converted(const Tensor& tensor, ExportDType dtype) {
  return tensor.detach().to(at::kCPU, exported_type(dtype, tensor.scalar_type())).contiguous();
}

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

void write_text(const fs::path& path, std::string_view text) {
  DurableFile file(path);
  file.write(text);
  file.close();
}

void write_weights(const fs::path& folder, const NamedTensors& tensors, const ExportOptions& options) {
  const auto shards = plan_shards(tensors, options.dtype, options.max_shard_bytes);
  Json weight_map = Json::object();
  std::uint64_t total_size = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = shard_name(i, shards.size());
    NamedTensors out;
    for (const auto& [name, tensor] : shards[i]) {
      out.emplace_back(name, converted(tensor, options.dtype));
      weight_map[name] = file;
      total_size += out.back().second.nbytes();
    }
    write_tensors(folder / file, out, kMetadata);
    failpoint("export_after_shard");
  }
  if (shards.size() == 1) return;
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
  write_text(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

void write_files(const fs::path& folder, const std::vector<FolderFile>& files) {
  for (const FolderFile& file : files) {
    const fs::path path = folder / file.name;
    make_folder(path.parent_path());
    write_text(path, file.content);
    sync_folder(path.parent_path());
  }
}

void compare(const fs::path& folder, const NamedTensors& tensors, ExportDType dtype,
             const std::vector<FolderFile>& files) {
  const auto fail = [&](const std::string& what) {
    return save_error("[" + shown(folder) + "] what was written is not what is there: " + what);
  };
  ModelFolder written;
  try {
    written = open_model_folder(folder, Remarks::kSilent);
  } catch (const Error& error) {
    throw fail(error.what());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor expected = converted(tensors[i].second, dtype);
    const auto& [name, found] = written.tensors[i];
    if (name != tensors[i].first || found.scalar_type() != expected.scalar_type() ||
        std::memcmp(found.const_data_ptr(), expected.const_data_ptr(), expected.nbytes()) != 0) {
      throw fail("tensor " + tensors[i].first + " differs");
    }
  }
  for (const FolderFile& file : files) {
    if (read_file(folder / file.name, ErrorKind::kSave) != file.content) throw fail(file.name + " differs");
  }
}

ModelSpec read_spec(const fs::path& folder, const NamedTensors& tensors) {
  const fs::path file = folder / "config.json";
  const Json config = read_json_file(file.string(), ErrorKind::kModel);
  return named_as(parse_model_config(config, shown(file)), tensors);
}

// Where the folder goes, without a trailing separator and with links followed.
fs::path checked_target(const fs::path& out) {
  std::error_code error;
  fs::path target = fs::weakly_canonical(fs::absolute(out), error);
  if (error) throw input_error("[" + shown(out) + "] cannot be used as an output folder: " + error.message());
  if (!target.has_filename()) target = target.parent_path();
  const bool empty_folder = fs::is_directory(target, error) && fs::is_empty(target, error);
  if (fs::exists(fs::symlink_status(target, error)) && !empty_folder) {
    throw input_error("[" + shown(out) + "] exists and is not an empty folder; choose another name");
  }
  return target;
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

void export_model_folder(const fs::path& source_folder, const NamedTensors& tensors,
                         const ExportOptions& options, const fs::path& out) {
  const fs::path target = checked_target(out);
  const std::vector<FolderFile> files = inference_files(source_folder, tensors, options);
  const NamedTensors matched =
      match_parameters(read_spec(source_folder, tensors), tensors, "export", ErrorKind::kInput);

  make_folder(target.parent_path());
  fs::path temporary = target.parent_path() / ".";
  temporary += target.filename();
  temporary += ".ddro-export";
  std::error_code error;
  fs::remove_all(temporary, error);
  if (error)
    throw save_error("[" + shown(temporary) +
                     "] left by an earlier export, cannot be removed: " + error.message());
  try {
    make_folder(temporary);
    write_weights(temporary, matched, options);
    write_files(temporary, files);
    sync_folder(temporary);
    failpoint("export_before_compare");
    compare(temporary, matched, options.dtype, files);
    failpoint("export_before_rename");
    rename_durable(temporary, target);
    failpoint("export_after_rename");
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
}

}  // namespace ddro::models
