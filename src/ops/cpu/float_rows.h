// Loops over rows as vector code, each one pass over memory that the composed forms take several for. What is
// computed is float32; what is stored, too, or bfloat16, to which results are rounded once. Sums are of 16
// parts for each 1,024 numbers, and of those in float64, in one order on every CPU. Raw pointers; of LibTorch
// the number type alone.
//
// Legend: N numbers of a row.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace ddro::ops::cpu {

using c10::BFloat16;

// sum = a + b.
void add_row(const float* a_N, const float* b_N, std::int64_t size, float* sum_N);
void add_row(const BFloat16* a_N, const BFloat16* b_N, std::int64_t size, BFloat16* sum_N);

// y = x s w with s = 1 / sqrt(mean(x^2) + eps), which it returns.
float rms_norm_row(const float* x_N, const float* weight_N, float eps, std::int64_t size, float* y_N);
float rms_norm_row(const BFloat16* x_N, const BFloat16* weight_N, float eps, std::int64_t size,
                   BFloat16* y_N);

// With n = x s and the mean m of dy w n: d_x = s (dy w - n m), plus d_sum where there is one (null: none);
// adds dy n to d_weight (null: is left).
void rms_norm_backward_row(const float* d_y_N, const float* x_N, const float* weight_N, float scale,
                           const float* d_sum_N, std::int64_t size, float* d_x_N, float* d_weight_N);
void rms_norm_backward_row(const BFloat16* d_y_N, const BFloat16* x_N, const BFloat16* weight_N, float scale,
                           const BFloat16* d_sum_N, std::int64_t size, BFloat16* d_x_N, float* d_weight_N);

// The halves of x turned: (x1 cos - x2 sin, x2 cos + x1 sin); `half`: N / 2.
void rotate_row(const float* x_N, const float* cos_N, const float* sin_N, std::int64_t half, float* y_N);
void rotate_row(const BFloat16* x_N, const BFloat16* cos_N, const BFloat16* sin_N, std::int64_t half,
                BFloat16* y_N);
void rotate_back_row(const float* x_N, const float* cos_N, const float* sin_N, std::int64_t half, float* y_N);
void rotate_back_row(const BFloat16* x_N, const BFloat16* cos_N, const BFloat16* sin_N, std::int64_t half,
                     BFloat16* y_N);

// silu(gate) up.
void swiglu_row(const float* gate_N, const float* up_N, std::int64_t size, float* product_N);
void swiglu_row(const BFloat16* gate_N, const BFloat16* up_N, std::int64_t size, BFloat16* product_N);
void swiglu_backward_row(const float* d_product_N, const float* gate_N, const float* up_N, std::int64_t size,
                         float* product_N, float* d_gate_N, float* d_up_N);
void swiglu_backward_row(const BFloat16* d_product_N, const BFloat16* gate_N, const BFloat16* up_N,
                         std::int64_t size, BFloat16* product_N, BFloat16* d_gate_N, BFloat16* d_up_N);

float largest_of_row(const float* x_N, std::int64_t size);

// e = exp(x - shift), which may be in x's place; their sum.
float exp_row(const float* x_N, float shift, std::int64_t size, float* e_N);

// x *= factor.
void scale_row(float* x_N, float factor, std::int64_t size);

// y = factor x.
void scaled_row(const float* x_N, float factor, std::int64_t size, float* y_N);
void scaled_row(const float* x_N, float factor, std::int64_t size, BFloat16* y_N);

float dot_row(const float* a_N, const float* b_N, std::int64_t size);

// Of softmax weights p and their gradients: d_score = p (d_p - mean), in place of d_p.
void softmax_backward_row(const float* p_N, float mean, std::int64_t size, float* d_p_N);

}  // namespace ddro::ops::cpu
