// Loops on all of LibTorch's threads.
#pragma once

#include <cstdint>
#include <functional>

namespace ddro::ops {

// body(first, last) for parts of [begin, end) that together are all of it, on as many threads as there are
// parts of `grain` or more. Within a call of its own it is one call. LibTorch's function of this name runs on
// one thread where a source is not compiled for OpenMP, as only this one's is.
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain,
                  const std::function<void(std::int64_t first, std::int64_t last)>& body);

}  // namespace ddro::ops
