// A file that nobody else sees and that is gone with its last user, unless it gets a name.
#pragma once

#include <filesystem>
#include <string_view>

namespace ddro {

// Every failure throws Error(kSave) that names the folder and the system's reason.
class NamelessFile {
 public:
  explicit NamelessFile(const std::filesystem::path& folder);
  ~NamelessFile();
  NamelessFile(const NamelessFile&) = delete;
  NamelessFile& operator=(const NamelessFile&) = delete;

  void write(std::string_view bytes);  // behind what is there
  // By which this process can open it.
  std::filesystem::path process_path() const;
  // Syncs it and gives it the name `path`, as write_file_atomic does. False, and there is no such file, where
  // the file system cannot.
  bool publish(const std::filesystem::path& path);

 private:
  std::filesystem::path shown_;
  int descriptor_ = -1;
};

}  // namespace ddro
