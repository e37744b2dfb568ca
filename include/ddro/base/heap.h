// What becomes of freed memory.
#pragma once

namespace ddro {

// Memory that has been freed stays with the process for its next allocation. A training step takes and frees
// the same gigabytes again and again, and glibc by default returns large blocks to the kernel, which has to
// fill each page with zeros before it hands it out again. Called once, before the first large allocation.
void keep_freed_memory();

}  // namespace ddro
