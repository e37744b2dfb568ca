// Results of a command: standard output, or a file that is whole or absent.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <sstream>
#include <string>

namespace ddro::cli {

class OutputStream {
 public:
  // Empty `path`: standard output.
  explicit OutputStream(std::string path);
  std::ostream& stream();
  // Puts the file in place. Error(kSave) when it, or standard output, could not be written.
  void finish();

 private:
  std::string path_;
  std::ostringstream buffer_;
};

}  // namespace ddro::cli
