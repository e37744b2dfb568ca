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

}  // namespace ddro::test
