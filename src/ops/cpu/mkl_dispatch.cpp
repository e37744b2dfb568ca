// Which kernels MKL, inside LibTorch, picks on a CPU that is not Intel's.
//
// MKL asks this function of its own whether the CPU is Intel's and, where it is not, stays with AVX2 kernels
// whatever the CPU can do: on a Zen 5 core less than half the float32 matmul rate. The function's symbol is
// exported, so this definition in the program comes first. MKL still reads the CPU's features before it uses
// an instruction set.
extern "C" __attribute__((visibility("default"), used)) int mkl_serv_intel_cpu_true() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
#else
  return 0;
#endif
}
