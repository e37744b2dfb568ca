#include "ddro/ops/packed.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/accumulate.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/gguf_blocks.h"
#include "ddro/ops/parallel_for.h"

namespace ddro::ops {
namespace {

constexpr std::int64_t kNumbersATask = 1 << 14;
constexpr std::int64_t kNumbersAPart = 1 << 20;

// No two of them have blocks of as many bytes.
constexpr BlockType kTypes[] = {BlockType::kQ4_0, BlockType::kQ4_1, BlockType::kQ5_0, BlockType::kQ5_1,
                                BlockType::kQ8_0, BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K};

const BlockFormat& format_of(const Tensor& blocks_NKB) {
  const auto bytes = static_cast<size_t>(blocks_NKB.size(2));
  const auto* const found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                         [&](BlockType type) { return block_format(type).bytes == bytes; });
  DDRO_CHECK(found != std::end(kTypes), "packed rows are of whole blocks");
  return block_format(*found);
}

void unpack(const Tensor& blocks_NKB, const Tensor& rows_ND) {
  DDRO_CHECK(blocks_NKB.is_cpu() && blocks_NKB.is_contiguous(), "packed rows lie side by side on the CPU");
  const BlockType type = format_of(blocks_NKB).type;
  const auto row_bytes = static_cast<size_t>(blocks_NKB.stride(0)),
             width = static_cast<size_t>(rows_ND.size(1));
  const auto* const blocks = static_cast<const std::byte*>(blocks_NKB.const_data_ptr());
  float* const numbers = rows_ND.mutable_data_ptr<float>();
  const auto unpack_rows = [&](std::int64_t begin, std::int64_t end) {
    const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
    unpack_blocks(type, {blocks + first * row_bytes, count * row_bytes},
                  {numbers + first * width, count * width});
  };
  parallel_for(0, rows_ND.size(0), std::max<std::int64_t>(1, kNumbersATask / rows_ND.size(1)), unpack_rows);
}

// A tensor in `block`, which grows where it is too small.
Tensor in_block(Tensor& block, at::IntArrayRef shape, at::ScalarType dtype) {
  const std::int64_t numbers = c10::multiply_integers(shape);
  if (!block.defined() || block.scalar_type() != dtype || block.numel() < numbers)
    block = at::empty({numbers}, at::TensorOptions(dtype));
  return block.narrow(0, 0, numbers).view(shape);
}

void write_numbers(const Tensor& weight, const Tensor& numbers_ND) {
  const at::NoGradGuard no_grad;
  if (!is_packed(weight)) {
    numbers_ND.copy_(weight);
  } else if (numbers_ND.scalar_type() == at::kFloat) {
    unpack(weight, numbers_ND);
  } else {
    for_parts_of(weight, at::kFloat, [&](std::int64_t first, const Tensor& part_ND) {
      numbers_ND.narrow(0, first, part_ND.size(0)).copy_(part_ND);
    });
  }
}

}  // namespace

bool is_packed(const Tensor& weight) {
  return weight.defined() && weight.scalar_type() == at::kByte && weight.dim() == 3;
}

std::vector<std::int64_t> shape_of_numbers(const Tensor& weight) {
  if (!is_packed(weight)) return weight.sizes().vec();
  return {weight.size(0), weight.size(1) * static_cast<std::int64_t>(format_of(weight).numbers)};
}

Tensor numbers_of(const Tensor& weight, at::ScalarType dtype) {
  if (!is_packed(weight)) return weight.to(dtype);
  const Tensor numbers_ND = at::empty(shape_of_numbers(weight), at::TensorOptions(dtype));
  write_numbers(weight, numbers_ND);
  return numbers_ND;
}

Tensor numbers_for_product(const Tensor& weight, at::ScalarType dtype) {
  if (weight.scalar_type() == dtype || !weight.is_cpu()) return numbers_of(weight, dtype);
  thread_local Tensor block;
  const Tensor numbers_ND = in_block(block, shape_of_numbers(weight), dtype);
  write_numbers(weight, numbers_ND);
  return numbers_ND;
}

void for_parts_of(const Tensor& weight, at::ScalarType dtype,
                  const std::function<void(std::int64_t, const Tensor&)>& use) {
  if (weight.scalar_type() == dtype) {
    use(0, weight);
    return;
  }
  DDRO_CHECK(!is_packed(weight) || dtype == at::kFloat, "packed rows come in parts of float32");
  thread_local Tensor block;
  const std::int64_t rows = weight.size(0), width = shape_of_numbers(weight)[1],
                     rows_a_part = std::max<std::int64_t>(1, kNumbersAPart / width);
  for (std::int64_t first = 0; first < rows; first += rows_a_part) {
    const std::int64_t count = std::min(rows_a_part, rows - first);
    const Tensor part_ND = in_block(block, {count, width}, dtype);
    write_numbers(weight.narrow(0, first, count), part_ND);
    use(first, part_ND);
  }
}

Tensor pack_q8_0(const Tensor& numbers_ND) {
  const auto block = static_cast<std::int64_t>(block_format(BlockType::kQ8_0).numbers);
  const Tensor numbers_NKB = numbers_ND.to(at::kFloat).unflatten(1, {-1, block});
  const Tensor scale_NK1 = numbers_NKB.abs().amax(-1, /*keepdim=*/true) / 127;
  const Tensor steps_NKB = numbers_NKB * at::where(scale_NK1 == 0, at::zeros_like(scale_NK1), 1 / scale_NK1);
  // Halves go away from zero, which at::round does not do.
  const Tensor size_NKB = steps_NKB.abs(), floor_NKB = size_NKB.floor();
  const Tensor rounded_NKB = (floor_NKB + ((size_NKB - floor_NKB) * 2).floor()) * steps_NKB.sign();
  return at::cat({scale_NK1.to(at::kHalf).view(at::kByte), rounded_NKB.to(at::kChar).view(at::kByte)}, -1)
      .contiguous();
}

}  // namespace ddro::ops
