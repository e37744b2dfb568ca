#include "ddro/ops/parallel_for.h"

#include <ATen/Parallel.h>

namespace ddro::ops {

void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain,
                  const std::function<void(std::int64_t first, std::int64_t last)>& body) {
  at::parallel_for(begin, end, grain, body);
}

}  // namespace ddro::ops
