#include "models/whole_folder.h"

#include <ATen/ATen.h>

#include <cstring>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "models/export.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

std::string shown(const fs::path& path) { return printable(path.string(), 400); }

void check(const fs::path& folder, const FolderContent& content) {
  try {
    content.check(folder);
  } catch (const Error& error) {
    throw save_error("[" + shown(folder) + "] what was written is not what is there: " + error.what());
  }
}

}  // namespace

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

void write_whole_folder(const fs::path& target, const FolderContent& content) {
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
    content.write(temporary);
    sync_folder(temporary);
    failpoint("export_before_compare");
    check(temporary, content);
    failpoint("export_before_rename");
    rename_durable(temporary, target);
    failpoint("export_after_rename");
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
}

void write_new_file(const fs::path& path, std::string_view text) {
  DurableFile file(path);
  file.write(text);
  file.close();
}

void write_files(const fs::path& folder, const std::vector<FolderFile>& files) {
  for (const FolderFile& file : files) {
    const fs::path path = folder / file.name;
    make_folder(path.parent_path());
    write_new_file(path, file.content);
    sync_folder(path.parent_path());
  }
}

void check_files(const fs::path& folder, const std::vector<FolderFile>& files) {
  for (const FolderFile& file : files) {
    if (read_file(folder / file.name, ErrorKind::kSave) != file.content)
      throw save_error(file.name + " differs");
  }
}

void check_tensors(const NamedTensors& found, const NamedTensors& tensors, ExportDType dtype) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor expected = exported(tensors[i].first, tensors[i].second, dtype);
    const auto& [name, tensor] = found[i];
    if (name != tensors[i].first || tensor.scalar_type() != expected.scalar_type() ||
        std::memcmp(tensor.const_data_ptr(), expected.const_data_ptr(), expected.nbytes()) != 0) {
      throw save_error("tensor " + tensors[i].first + " differs");
    }
  }
}

}  // namespace ddro::models
