#include "ddro/ops/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Saves x and one number a row; the composed form would keep three tensors of x's size and take twice the
// passes. On CUDA LibTorch has both directions in one kernel each (the weight's gradient in another).
class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double eps) {
    if (x.is_cuda()) {
      const auto [y, scale] = at::_fused_rms_norm(x, {x.size(-1)}, weight, eps);
      ctx->save_for_backward({x, weight, scale});
      return y;
    }
    const Tensor wide = x.to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    const Tensor scale = at::linalg_vector_norm(wide, 2, at::IntArrayRef{-1}, /*keepdim=*/true)
                             .square_()
                             .div_(x.size(-1))
                             .add_(eps)
                             .rsqrt_();
    ctx->save_for_backward({x, weight, scale});
    return (wide * scale).to(x.scalar_type()).mul_(weight);
  }

  // With n = x s and the row mean m of dy w n: dx = s (dy w - n m), dweight = sum over rows of dy n.
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor& scale = saved[2];
    if (x.is_cuda()) {
      const auto [d_x, d_weight] =
          at::_fused_rms_norm_backward(grads[0].contiguous(), x, {x.size(-1)}, scale, saved[1],
                                       {ctx->needs_input_grad(0), ctx->needs_input_grad(1)});
      return {d_x, d_weight, Tensor()};
    }
    const Tensor weight = saved[1].to(scale.scalar_type());
    const Tensor dy = grads[0].to(scale.scalar_type());
    const Tensor normed = x.to(scale.scalar_type()) * scale;
    const Tensor product = normed * dy;
    Tensor d_x;
    if (ctx->needs_input_grad(0)) {
      const Tensor mean = at::matmul(product, weight).div_(x.size(-1)).unsqueeze_(-1);
      d_x = (dy * weight).addcmul_(normed, mean, -1).mul_(scale).to(x.scalar_type());
    }
    Tensor d_weight;
    if (ctx->needs_input_grad(1))
      d_weight = product.reshape({-1, x.size(-1)}).sum(0).to(saved[1].scalar_type());
    return {d_x, d_weight, Tensor()};
  }
};

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) { return RmsNorm::apply(x, weight, eps); }

}  // namespace ddro::ops
