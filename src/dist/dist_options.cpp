#include "ddro/dist/dist_options.h"

#include <string>

#include "ddro/base/error.h"

namespace ddro::dist {

void DistributedOptions::validate() const {
  constexpr std::int64_t kShortest = 10;  // some seconds of it are for finding out which rank is lost
  constexpr std::int64_t kLongest = 7 * 24 * 3600;
  if (timeout_s >= kShortest && timeout_s <= kLongest) return;
  throw option_error("distributed.timeout_s", std::to_string(timeout_s),
                     "an integer from " + std::to_string(kShortest) + " to " + std::to_string(kLongest));
}

}  // namespace ddro::dist
