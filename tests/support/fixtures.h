// Where tests find what scripts/make_fixtures made, and the checkout itself.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace ddro::test {

inline std::filesystem::path environment_path(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr)
    throw std::runtime_error(std::string(name) + " is not set; run the tests through ctest");
  return value;
}

inline std::filesystem::path source_path(const std::string& relative) {
  return environment_path("DDRO_SOURCE_DIR") / relative;
}

inline std::filesystem::path fixture(const std::string& relative) {
  const auto path = environment_path("DDRO_FIXTURES") / relative;
  if (!std::filesystem::exists(path))
    throw std::runtime_error(path.string() + " is missing; run scripts/make_fixtures");
  return path;
}

// A new empty folder that is removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ddro_test_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace ddro::test
