#include "ddro/base/heap.h"

#include <malloc.h>

namespace ddro {

void keep_freed_memory() {
  constexpr int kGrowthBytes = 64 << 20;
  mallopt(M_MMAP_MAX, 0);         // no mapping of its own for a large block
  mallopt(M_TRIM_THRESHOLD, -1);  // the heap does not shrink
  mallopt(M_TOP_PAD, kGrowthBytes);
}

}  // namespace ddro
