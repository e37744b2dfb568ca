// The tokens of parts of a text that were met before: what a template writes, and a prompt in front of both
// its completions, come again and again.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::text {

// In fixed memory: each part has one place, which the last one to come takes. For one thread at a time.
class PartCache {
 public:
  static constexpr size_t kMaxBytes = 4096;  // of a part that is kept

  struct Part {
    std::string text;  // empty: the place is free
    Encoding tokens;   // offsets from the part's first byte
  };

  // The place of `text`, which holds it or another part.
  Part& place_of(std::string_view text) { return parts_[std::hash<std::string_view>()(text) % kPlaces]; }

 private:
  static constexpr size_t kPlaces = 256;

  std::vector<Part> parts_{kPlaces};
};

}  // namespace ddro::text
