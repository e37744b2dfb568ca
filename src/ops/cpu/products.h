// Products of float32 matrices on one thread, by the library that LibTorch's own products use: for parts that
// are too small to be operations. Rows of a matrix are `stride` numbers apart.
#pragma once

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

}  // namespace ddro::ops::cpu
