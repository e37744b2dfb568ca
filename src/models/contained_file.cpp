#include "models/contained_file.h"

#include <algorithm>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

bool is_plain(const std::string& name) {
  const bool clean = std::all_of(name.begin(), name.end(), [](char c) {
    return c != '/' && c != '\\' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  });
  return clean && !name.empty() && name.size() <= 255 && name != "." && name != "..";
}

// folder = .../models--org--name/snapshots/<hash>, file = .../models--org--name/blobs/<hash>.
bool is_cache_blob(const fs::path& folder, const fs::path& file) {
  return folder.parent_path().filename() == "snapshots" && file.parent_path().filename() == "blobs" &&
         file.parent_path().parent_path() == folder.parent_path().parent_path();
}

}  // namespace

std::optional<fs::path> find_contained_file(const fs::path& folder, const std::string& name,
                                            const std::string& subfolder) {
  std::string where = "[";
  where.append(printable(folder.string(), 400)).append("] ");
  for (const std::string& part : {subfolder.empty() ? name : subfolder, name}) {
    if (!is_plain(part))
      throw model_error(where + "file name \"" + printable(part) +
                        "\" is not a plain name inside the folder");
  }
  const fs::path given = subfolder.empty() ? folder / name : folder / subfolder / name;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(given, error))) return std::nullopt;
  const fs::path root = fs::canonical(folder, error);
  if (error) throw model_error(where + "cannot be read: " + error.message());
  const fs::path file = fs::canonical(given, error);
  if (error) throw model_error(where + printable(name) + " cannot be read: " + error.message());
  const fs::path own = subfolder.empty() ? root : root / subfolder;
  if (file.parent_path() != own && !is_cache_blob(root, file)) {
    throw model_error(where + printable(name) +
                      " is a link that leaves the folder; expected a file of its own");
  }
  if (!fs::is_regular_file(file, error)) throw model_error(where + printable(name) + " is not a file");
  return file;
}

}  // namespace ddro::models
