// Memory for a kernel to write to, with more around it that must stay as it is.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace ddro::test {

class Guarded {
 public:
  // `inner` begins `offset` elements behind a 16-byte boundary. Everything is 3.
  Guarded(at::IntArrayRef sizes, at::ScalarType dtype, std::int64_t offset = 0)
      : before_(kGuard + offset),
        room_(at::full({before_ + c10::multiply_integers(sizes) + kGuard}, 3, dtype)),
        inner_(room_.narrow(0, before_, c10::multiply_integers(sizes)).view(sizes)) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room_.data_ptr()) % 16, 0U);
  }
  // A copy of `values`.
  explicit Guarded(const at::Tensor& values, std::int64_t offset = 0)
      : Guarded(values.sizes(), values.scalar_type(), offset) {
    inner_.copy_(values);
  }

  const at::Tensor& inner() const { return inner_; }
  void* data() const { return inner_.data_ptr(); }

  void expect_untouched_around() const {
    EXPECT_TRUE(room_.narrow(0, 0, before_).eq(3).all().item<bool>());
    EXPECT_TRUE(room_.narrow(0, before_ + inner_.numel(), kGuard).eq(3).all().item<bool>());
  }

 private:
  static constexpr std::int64_t kGuard = 64;  // a multiple of 16 bytes in every dtype
  std::int64_t before_;
  at::Tensor room_, inner_;
};

}  // namespace ddro::test
