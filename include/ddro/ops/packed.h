// Weights that stay packed as a GGUF file has them. Products (ddro/ops/linear.h, ddro/ops/low_rank_linear.h)
// take them in place of numbers and unpack them each time, forward and again in the backward. On the CPU.
// Frozen weights of a shorter type than the input's are taken likewise, on any device.
//
// Packed rows are bytes, N x K x B; how many bytes a block has tells its type.
//
// Legend: N rows, D width, K blocks of a row, B bytes of a block.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::ops {

bool is_packed(const Tensor& weight);

// Of the numbers: N x D of packed rows, the tensor's own of others.
std::vector<std::int64_t> shape_of_numbers(const Tensor& weight);

// In `dtype`, unpacked where they are packed; the tensor itself where nothing is to be done.
Tensor numbers_of(const Tensor& weight, at::ScalarType dtype);

// As numbers_of, for a product, which lets go of them at once: on the CPU they are in memory that this
// thread's next call takes again. Blocks that come and go between those that a graph keeps would cut up the
// heap.
Tensor numbers_for_product(const Tensor& weight, at::ScalarType dtype);

// The numbers in `dtype`, float32 where they are packed, of some rows from `first` on after the other, each
// until the next: all at one time would take several times what is stored. Of a tensor of that dtype all at
// once, its own.
void for_parts_of(const Tensor& weight, at::ScalarType dtype,
                  const std::function<void(std::int64_t first, const Tensor& numbers_ND)>& use);

// Packed rows of Q8_0 with the bits that llama.cpp gives: blocks of 32 numbers, of which D is a multiple.
Tensor pack_q8_0(const Tensor& numbers_ND);

}  // namespace ddro::ops
