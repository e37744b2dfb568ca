#include "ddro/ops/low_rank_linear.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ddro/base/error.h"
#include "ddro/ops/product.h"
#include "ops/swiglu_device.h"
#include "ops/weight_gradient.h"

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What both products keep beside their inputs.
struct Kept {
  Tensor weight, a, b;
  Tensor low_TR;  // scale x A^T
  double scale = 1;
};

void keep(AutogradContext* ctx, variable_list inputs, const Kept& kept) {
  for (const Tensor& tensor : {kept.weight, kept.a, kept.b, kept.low_TR}) inputs.push_back(tensor);
  ctx->save_for_backward(std::move(inputs));
  ctx->saved_data["scale"] = kept.scale;
}

// `saved`: from the first that is not an input.
Kept kept_of(AutogradContext* ctx, const variable_list& saved, size_t first) {
  return {saved[first], saved[first + 1], saved[first + 2], saved[first + 3],
          ctx->saved_data["scale"].toDouble()};
}

Tensor low_product(const Tensor& x, const Tensor& a, double scale) { return product(x, a.t()).mul_(scale); }

Tensor whole_product(const Tensor& x, const std::optional<Tensor>& bias, const Kept& kept) {
  const Tensor y = linear_product(x, kept.weight, bias);
  add_product(y, kept.low_TR, kept.b.t());
  return y;
}

// From the gradient of y to that of what is multiplied with A^T.
Tensor low_gradient(const Tensor& d_y, const Kept& kept) { return product(d_y, kept.b).mul_(kept.scale); }

Tensor input_gradient(const Tensor& d_y, const Tensor& d_low, const Kept& kept) {
  const Tensor d_x = product(d_y, kept.weight);
  add_product(d_x, d_low, kept.a);
  return d_x;
}

class LowRankLinear : public torch::autograd::Function<LowRankLinear> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias, const Tensor& a, const Tensor& b, double scale) {
    const Kept kept{weight, a, b, low_product(x, a, scale), scale};
    keep(ctx, {x}, kept);
    return whole_product(x, bias, kept);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Kept kept = kept_of(ctx, saved, 1);
    const Tensor d_low = low_gradient(grads[0], kept);
    const Tensor d_a = weight_gradient(kept.a, d_low, saved[0]);
    const Tensor d_b = weight_gradient(kept.b, grads[0], kept.low_TR);
    const Tensor d_x = ctx->needs_input_grad(0) ? input_gradient(grads[0], d_low, kept) : Tensor();
    return {d_x, Tensor(), Tensor(), d_a, d_b, Tensor()};
  }
};

class LowRankSwiGluLinear : public torch::autograd::Function<LowRankSwiGluLinear> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up, const Tensor& weight,
                        const std::optional<Tensor>& bias, const Tensor& a, const Tensor& b, double scale) {
    const Tensor product = gate.is_cuda() ? cuda::swiglu(gate, up) : cpu::swiglu(gate, up);
    const Kept kept{weight, a, b, low_product(product, a, scale), scale};
    keep(ctx, {gate, up}, kept);
    return whole_product(product, bias, kept);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Tensor& gate = saved[0];
    const Tensor& up = saved[1];
    const Kept kept = kept_of(ctx, saved, 2);
    const Tensor d_low = low_gradient(grads[0], kept);
    const Tensor d_product = input_gradient(grads[0], d_low, kept);
    const SwiGluGradients gradients = gate.is_cuda() ? cuda::swiglu_backward(d_product, gate, up)
                                                     : cpu::swiglu_backward(d_product, gate, up);
    const Tensor d_a = weight_gradient(kept.a, d_low, gradients.product_TF);
    const Tensor d_b = weight_gradient(kept.b, grads[0], kept.low_TR);
    return {gradients.d_gate_TF, gradients.d_up_TF, Tensor(), Tensor(), d_a, d_b, Tensor()};
  }
};

std::optional<Tensor> checked_bias(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  DDRO_CHECK(x.dim() == 2, "a product with a low-rank addition takes a row a token");
  DDRO_CHECK(!weight.requires_grad() && !(bias.defined() && bias.requires_grad()),
             "a weight with a low-rank addition is frozen");
  return bias.defined() ? std::optional<Tensor>(bias) : std::nullopt;
}

}  // namespace

Tensor low_rank_linear(const Tensor& x_TD, const Tensor& weight_ED, const Tensor& bias_E,
                       const LowRank& addition) {
  return LowRankLinear::apply(x_TD, weight_ED, checked_bias(x_TD, weight_ED, bias_E), addition.a_RD,
                              addition.b_ER, addition.scale);
}

Tensor low_rank_swiglu_linear(const Tensor& gate_TF, const Tensor& up_TF, const Tensor& weight_EF,
                              const Tensor& bias_E, const LowRank& addition) {
  return LowRankSwiGluLinear::apply(gate_TF, up_TF, weight_EF, checked_bias(gate_TF, weight_EF, bias_E),
                                    addition.a_RD, addition.b_ER, addition.scale);
}

}  // namespace ddro::ops
