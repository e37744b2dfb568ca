#include "ddro/ops/rotary.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/rotary_device.h"

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Rotary : public torch::autograd::Function<Rotary> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& cos, const Tensor& sin) {
    ctx->save_for_backward({cos, sin});
    return turn(x, cos, sin, /*inverse=*/false);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {turn(grads[0], saved[0], saved[1], /*inverse=*/true), Tensor(), Tensor()};
  }

 private:
  static Tensor turn(const Tensor& x, const Tensor& cos, const Tensor& sin, bool inverse) {
    return x.is_cuda() ? cuda::rotary(x, cos, sin, inverse) : cpu::rotary(x, cos, sin, inverse);
  }
};

}  // namespace

Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K) {
  const bool has_rows = x_THK.scalar_type() == at::kFloat || x_THK.scalar_type() == at::kBFloat16;
  if (x_THK.is_cuda() || has_rows) return Rotary::apply(x_THK, cos_T1K, sin_T1K);
  return composed_rotary(x_THK, cos_T1K, sin_T1K);
}

Tensor composed_rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K) {
  const auto halves = x_THK.chunk(2, -1);
  return x_THK * cos_T1K + at::cat({-halves[1], halves[0]}, -1) * sin_T1K;
}

}  // namespace ddro::ops
