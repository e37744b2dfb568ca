// Products of matrices by the library that LibTorch's own products use: of float32, for parts that are too
// small to be operations (inside of a parallel region, on one thread); of bfloat16 with a result in float32,
// which LibTorch does not have. Rows of a matrix are `stride` numbers apart.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace ddro::ops::cpu {

// Of the result: M x N, each the sum of K terms.
struct ProductSize {
  std::int64_t rows, columns, terms;
};

// c_MN = a_MK b_NK^T.
void multiply_transposed(const float* a_MK, std::int64_t a_stride, const float* b_NK, std::int64_t b_stride,
                         float* c_MN, std::int64_t c_stride, ProductSize size);

// c_MN = a_MK b_KN; added to c if `add`.
void multiply(const float* a_MK, std::int64_t a_stride, const float* b_KN, std::int64_t b_stride, float* c_MN,
              std::int64_t c_stride, ProductSize size, bool add);

// c_MN += a_KM^T b_KN.
void add_transposed_product(const float* a_KM, std::int64_t a_stride, const float* b_KN,
                            std::int64_t b_stride, float* c_MN, std::int64_t c_stride, ProductSize size);

// A matrix, or one whose transpose lies there.
struct BFloat16Matrix {
  const c10::BFloat16* numbers;
  std::int64_t stride;
  bool is_transposed;
};

// c_MN = a_MK b_KN, or added to c; sums are float32. For CPUs that multiply bfloat16 (ddro/ops/product.h).
void multiply(BFloat16Matrix a_MK, BFloat16Matrix b_KN, float* c_MN, std::int64_t c_stride, ProductSize size,
              bool add);

}  // namespace ddro::ops::cpu
