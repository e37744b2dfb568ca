#include <algorithm>
#include <numeric>

#include "checkpoint/manifest.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/checkpoint/checkpoint.h"

namespace ddro::checkpoint {
namespace {

void remove_quietly(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

// Puts `from` in the place of the folder `to`. Exchanging the names leaves no moment without a checkpoint; a
// file system that cannot exchange gets the old one moved aside first.
void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (exchange_names(from, to)) {
    remove_quietly(from);
    return;
  }
  const std::filesystem::path aside = to.parent_path() / (".trash_" + to.filename().string());
  remove_quietly(aside);
  rename_durable(to, aside);
  rename_durable(from, to);
  remove_quietly(aside);
}

}  // namespace

CheckpointPart::CheckpointPart(const std::filesystem::path& folder, std::int64_t step)
    : final_path_(folder / step_folder_name(step)), temporary_path_(final_path_.string() + ".tmp") {
  DDRO_CHECK(step >= 0, "a negative step");
}

void CheckpointPart::add_tensors(const std::string& file_name, const TensorSources& tensors,
                                 const std::map<std::string, std::string>& metadata) {
  DDRO_CHECK(is_file_name(file_name), "not a file name: " + file_name);
  std::uint64_t bytes = 0;
  for (const TensorSource& tensor : tensors) bytes += tensor.nbytes();
  require_free_space(temporary_path_, bytes);
  record(file_name, write_tensors(temporary_path_ / file_name, tensors, metadata));
}

void CheckpointPart::add_text(const std::string& file_name, const std::string& text) {
  DDRO_CHECK(is_file_name(file_name), "not a file name: " + file_name);
  const std::filesystem::path path = temporary_path_ / file_name;
  make_folder(path.parent_path());
  DurableFile file(path);
  file.write(text);
  file.close();
  sync_folder(path.parent_path());
  record(file_name, hash_text(text));
}

void CheckpointPart::record(const std::string& file_name, std::string hash) {
  files_[file_name] = {{"bytes", std::filesystem::file_size(temporary_path_ / file_name)},
                       {"xxh3_128", std::move(hash)}};
  failpoint("checkpoint.file");
}

CheckpointWriter::CheckpointWriter(const std::filesystem::path& folder, std::int64_t step)
    : CheckpointPart(folder, step), step_(step) {
  remove_quietly(temporary_path_);
  make_folder(temporary_path_);
  failpoint("checkpoint.folder");
}

CheckpointWriter::~CheckpointWriter() {
  if (!committed_) remove_quietly(temporary_path_);
}

std::filesystem::path CheckpointWriter::commit(const Json& description) {
  failpoint("checkpoint.before_manifest");
  DurableFile file(temporary_path_ / kManifestName);
  file.write(manifest_text(step_, files_, description));
  file.close();
  failpoint("checkpoint.after_manifest");
  sync_folder(temporary_path_);
  failpoint("checkpoint.before_rename");
  if (std::filesystem::exists(final_path_)) {
    replace_folder(temporary_path_, final_path_);
  } else {
    rename_durable(temporary_path_, final_path_);
  }
  committed_ = true;
  failpoint("checkpoint.after_rename");
  return final_path_;
}

}  // namespace ddro::checkpoint
