#include "ops/cpu/products.h"

#include "ddro/base/error.h"

// BLAS in Fortran's binding, which LibTorch exports of MKL.
extern "C" void sgemm_(const char* a_form, const char* b_form, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* a_stride, const float* b,
                       const int* b_stride, const float* beta, float* c, const int* c_stride);

#if defined(__x86_64__)
extern "C" void gemm_bf16bf16f32_(const char* a_form, const char* b_form, const int* m, const int* n,
                                  const int* k, const float* alpha, const c10::BFloat16* a,
                                  const int* a_stride, const c10::BFloat16* b, const int* b_stride,
                                  const float* beta, float* c, const int* c_stride);
#endif

namespace ddro::ops::cpu {
namespace {

// Fortran's matrices are columns: what is a row here is a column there, so c^T = b^T a^T is asked for.
void call(char a_form, char b_form, const float* a, std::int64_t a_stride, const float* b,
          std::int64_t b_stride, float* c, std::int64_t c_stride, ProductSize size, bool add) {
  const auto m = static_cast<int>(size.columns), n = static_cast<int>(size.rows),
             k = static_cast<int>(size.terms), lda = static_cast<int>(b_stride),
             ldb = static_cast<int>(a_stride), ldc = static_cast<int>(c_stride);
  const float alpha = 1, beta = add ? 1 : 0;
  sgemm_(&b_form, &a_form, &m, &n, &k, &alpha, b, &lda, a, &ldb, &beta, c, &ldc);
}

}  // namespace

void multiply_transposed(const float* a_MK, std::int64_t a_stride, const float* b_NK, std::int64_t b_stride,
                         float* c_MN, std::int64_t c_stride, ProductSize size) {
  call('N', 'T', a_MK, a_stride, b_NK, b_stride, c_MN, c_stride, size, /*add=*/false);
}

void multiply(const float* a_MK, std::int64_t a_stride, const float* b_KN, std::int64_t b_stride, float* c_MN,
              std::int64_t c_stride, ProductSize size, bool add) {
  call('N', 'N', a_MK, a_stride, b_KN, b_stride, c_MN, c_stride, size, add);
}

void add_transposed_product(const float* a_KM, std::int64_t a_stride, const float* b_KN,
                            std::int64_t b_stride, float* c_MN, std::int64_t c_stride, ProductSize size) {
  call('T', 'N', a_KM, a_stride, b_KN, b_stride, c_MN, c_stride, size, /*add=*/true);
}

void multiply([[maybe_unused]] BFloat16Matrix a_MK, [[maybe_unused]] BFloat16Matrix b_KN,
              [[maybe_unused]] float* c_MN, [[maybe_unused]] std::int64_t c_stride,
              [[maybe_unused]] ProductSize size, [[maybe_unused]] bool add) {
#if defined(__x86_64__)
  const char a_form = a_MK.is_transposed ? 'T' : 'N', b_form = b_KN.is_transposed ? 'T' : 'N';
  const auto m = static_cast<int>(size.columns), n = static_cast<int>(size.rows),
             k = static_cast<int>(size.terms), lda = static_cast<int>(b_KN.stride),
             ldb = static_cast<int>(a_MK.stride), ldc = static_cast<int>(c_stride);
  const float alpha = 1, beta = add ? 1 : 0;
  gemm_bf16bf16f32_(&b_form, &a_form, &m, &n, &k, &alpha, b_KN.numbers, &lda, a_MK.numbers, &ldb, &beta, c_MN,
                    &ldc);
#else
  DDRO_CHECK(false, "no CPU of this kind multiplies bfloat16");
#endif
}

}  // namespace ddro::ops::cpu
