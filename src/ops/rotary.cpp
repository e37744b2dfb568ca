#include "ddro/ops/rotary.h"

#include <torch/torch.h>

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// `direction` 1 rotates, -1 rotates back.
Tensor rotate(const Tensor& x_THK, const Tensor& cos_T1J, const Tensor& sin_T1J, int direction) {
  Tensor out_THK = at::empty(x_THK.sizes(), x_THK.options());
  const auto x = x_THK.chunk(2, -1);
  auto out = out_THK.chunk(2, -1);
  at::mul_out(out[0], x[0], cos_T1J).addcmul_(x[1], sin_T1J, -direction);
  at::mul_out(out[1], x[1], cos_T1J).addcmul_(x[0], sin_T1J, direction);
  return out_THK;
}

class Rotary : public torch::autograd::Function<Rotary> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x_THK, const Tensor& cos_T1J,
                        const Tensor& sin_T1J) {
    ctx->save_for_backward({cos_T1J, sin_T1J});
    return rotate(x_THK, cos_T1J, sin_T1J, 1);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    return {rotate(grads[0], saved[0], saved[1], -1), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1J, const Tensor& sin_T1J) {
  return Rotary::apply(x_THK, cos_T1J, sin_T1J);
}

}  // namespace ddro::ops
