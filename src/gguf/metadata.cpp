#include "gguf/metadata.h"

#include <charconv>

namespace ddro::gguf {

std::string Metadata::named(const std::string& key) { return *known_.insert(prefix_ + key).first; }

std::uint64_t Metadata::required(const std::string& key) {
  const auto value = integer(key);
  if (!value) refuse(key, "is missing");
  return *value;
}

std::optional<double> Metadata::number(const std::string& key) {
  const auto value = file_.number(named(key));
  if (!value || static_cast<double>(static_cast<float>(*value)) != *value) return value;
  char digits[32];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), static_cast<float>(*value)).ptr;
  double shortest = 0;
  std::from_chars(digits, end, shortest);
  return shortest;
}

void Metadata::refuse_others() const {
  for (const std::string& key : file_.keys()) {
    if (key.starts_with(prefix_) && !known_.contains(key))
      refuse(key.substr(prefix_.size()), "is not known; it may change what the model computes");
  }
}

void Metadata::refuse(const std::string& key, const std::string& what) const {
  throw model_error("[" + file_.where() + "] metadata \"" + printable(prefix_ + key) + "\" " + what);
}

}  // namespace ddro::gguf
