// For functions whose loops are vector code: the widest that the CPU at hand has is chosen when the program
// starts (too early for ThreadSanitizer's runtime).
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define DDRO_VECTOR_CLONES [[gnu::target_clones("avx512f", "avx2", "default")]]
#else
#define DDRO_VECTOR_CLONES
#endif
