#include "ddro/data/places.h"

#include <charconv>

namespace ddro::data {
namespace {

// Up to where a number begins that is written back as it was: without zeros in front, and small.
size_t number_begins(std::string_view place) {
  constexpr size_t kMostDigits = 9;
  size_t begin = place.size();
  while (begin > 0 && place.size() - begin < kMostDigits && place[begin - 1] >= '0' &&
         place[begin - 1] <= '9')
    --begin;
  while (begin + 1 < place.size() && place[begin] == '0') ++begin;
  return begin;
}

}  // namespace

void Places::push_back(std::string_view place) {
  const size_t begin = number_begins(place);
  std::uint32_t number = kNone;
  std::from_chars(place.data() + begin, place.data() + place.size(), number);
  const std::string_view beginning = place.substr(0, begin);
  if (beginnings_.empty() || beginnings_.back() != beginning) beginnings_.emplace_back(beginning);
  places_.push_back({static_cast<std::uint32_t>(beginnings_.size() - 1), number});
}

std::string Places::operator[](size_t i) const {
  const auto& [beginning, number] = places_[i];
  return number == kNone ? beginnings_[beginning] : beginnings_[beginning] + std::to_string(number);
}

std::string Places::at(size_t i) const {
  places_.at(i);
  return (*this)[i];
}

std::vector<std::string> Places::all() const {
  std::vector<std::string> all;
  for (size_t i = 0; i < size(); ++i) all.push_back((*this)[i]);
  return all;
}

}  // namespace ddro::data
