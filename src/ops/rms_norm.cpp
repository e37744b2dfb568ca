#include "ddro/ops/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/rms_norm_device.h"

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

RmsNormed normalise(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  return x.is_cuda() ? cuda::rms_norm(x, addend, weight, eps) : cpu::rms_norm(x, addend, weight, eps);
}

// Of the sum, its weight and its scale. `d_y` or `d_sum` is undefined where nothing comes from there.
RmsNormGradients gradients(const variable_list& saved, const Tensor& d_y, const Tensor& d_sum,
                           bool weight_needs) {
  const at::NoGradGuard no_grad;
  if (!d_y.defined()) return {d_sum, Tensor()};
  const auto backward = d_y.is_cuda() ? cuda::rms_norm_backward : cpu::rms_norm_backward;
  return backward(d_y, saved[0], saved[1], saved[2], d_sum, weight_needs);
}

// Saves x and one number a row; the composed form would keep three tensors of x's size.
class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double eps) {
    const RmsNormed normed = normalise(x, Tensor(), weight, eps);
    ctx->save_for_backward({x, weight, normed.scale});
    return normed.y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const RmsNormGradients result =
        gradients(ctx->get_saved_variables(), grads[0], Tensor(), ctx->needs_input_grad(1));
    return {result.d_x, result.d_weight, Tensor()};
  }
};

class AddRmsNorm : public torch::autograd::Function<AddRmsNorm> {
 public:
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& addend,
                               const Tensor& weight, double eps) {
    const RmsNormed normed = normalise(x, addend, weight, eps);
    ctx->save_for_backward({normed.sum, weight, normed.scale});
    ctx->set_materialize_grads(false);
    return {normed.sum, normed.y};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const RmsNormGradients result =
        gradients(ctx->get_saved_variables(), grads[1], grads[0], ctx->needs_input_grad(2));
    return {result.d_x, result.d_x, result.d_weight, Tensor()};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) { return RmsNorm::apply(x, weight, eps); }

NormedSum add_rms_norm(const Tensor& x, const Tensor& addend, const Tensor& weight, double eps) {
  const variable_list outputs = AddRmsNorm::apply(x, addend, weight, eps);
  return {outputs[0], outputs[1]};
}

}  // namespace ddro::ops
