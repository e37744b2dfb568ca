// Which files and which layouts of rows can be read, for people: from the lists that the readers go by.
#pragma once

#include <string>
#include <vector>

namespace ddro::data {

// A kind of input in words of Markdown, and the test that shows that it is read, as ctest's -R finds it.
struct KnownInput {
  std::string name;
  std::string description;
  std::string test;
};

// By the ends of files' names.
std::vector<KnownInput> known_formats();

// By the names of data.layout but auto, in the order in which a row is tried.
std::vector<KnownInput> known_layouts();

}  // namespace ddro::data
