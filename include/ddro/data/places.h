// Where the examples of a set come from, in little memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ddro::data {

// Texts like "train.jsonl:17", of which neighbours begin alike: a list of strings that are made when they are
// asked for.
class Places {
 public:
  void push_back(std::string_view place);
  std::string operator[](size_t i) const;
  std::string at(size_t i) const;
  size_t size() const { return places_.size(); }
  std::vector<std::string> all() const;

 private:
  // A beginning and the number behind it.
  struct Place {
    std::uint32_t beginning;
    std::uint32_t number;  // kNone: there is none
  };
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  std::vector<std::string> beginnings_;  // each unlike the one before
  std::vector<Place> places_;
};

}  // namespace ddro::data
