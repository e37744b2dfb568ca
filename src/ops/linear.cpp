#include "ddro/ops/linear.h"

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

// Autograd takes an input that may be absent as an optional.
std::optional<Tensor> if_defined(const Tensor& tensor) {
  return tensor.defined() ? std::optional<Tensor>(tensor) : std::nullopt;
}

class Linear : public torch::autograd::Function<Linear> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    // x is of use for the weight's gradient alone.
    ctx->save_for_backward({weight.requires_grad() ? x : Tensor(), weight});
    ctx->saved_data["biased"] = bias.has_value();
    return linear_product(x, weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Tensor& d_y = grads[0];
    Tensor d_x, d_weight, d_bias;
    if (ctx->needs_input_grad(0)) d_x = product(d_y, saved[1]);
    if (ctx->needs_input_grad(1)) d_weight = weight_gradient(saved[1], d_y, saved[0]);
    if (ctx->saved_data["biased"].toBool() && ctx->needs_input_grad(2)) d_bias = d_y.sum(0);
    return {d_x, d_weight, d_bias};
  }
};

class SwiGluLinear : public torch::autograd::Function<SwiGluLinear> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    ctx->save_for_backward({gate, up, weight});
    ctx->saved_data["biased"] = bias.has_value();
    return linear_product(gate.is_cuda() ? cuda::swiglu(gate, up) : cpu::swiglu(gate, up), weight, bias);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Tensor& gate = saved[0];
    const Tensor& up = saved[1];
    const Tensor& weight = saved[2];
    const Tensor& d_y = grads[0];
    const Tensor d_product = product(d_y, weight);
    const SwiGluGradients gradients = gate.is_cuda() ? cuda::swiglu_backward(d_product, gate, up)
                                                     : cpu::swiglu_backward(d_product, gate, up);
    Tensor d_weight, d_bias;
    if (ctx->needs_input_grad(2)) d_weight = weight_gradient(weight, d_y, gradients.product_TF);
    if (ctx->saved_data["biased"].toBool() && ctx->needs_input_grad(3)) d_bias = d_y.sum(0);
    return {gradients.d_gate_TF, gradients.d_up_TF, d_weight, d_bias};
  }
};

// sum[ids[t]] += rows[t], in a fixed order. Each device has one function that sorts repeated ids or takes the
// rows one after the other; its other one adds them by atomics, as they come.
void add_rows(const Tensor& sum_VD, const Tensor& ids_T, const Tensor& rows_TD) {
  if (sum_VD.is_cuda()) {
    sum_VD.index_put_({ids_T}, rows_TD, /*accumulate=*/true);
  } else {
    sum_VD.index_add_(0, ids_T, rows_TD);
  }
}

class Embedding : public torch::autograd::Function<Embedding> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& weight, const Tensor& ids) {
    ctx->save_for_backward({weight, ids});
    return weight.index_select(0, ids);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Tensor& weight = saved[0];
    const Tensor sum = weight.grad().defined() ? weight.grad() : at::zeros_like(weight);
    add_rows(sum, saved[1], grads[0].to(sum.scalar_type()));
    return {weight.grad().defined() ? Tensor() : sum, Tensor()};
  }
};

// Of a weight that is one of the matrices stacked in a leaf, or its transpose: where its gradient adds up, as
// it is stored. Undefined for others.
Tensor sum_of_slice(const Tensor& weight) {
  if (!weight.is_view()) return {};
  const Tensor stacked(weight._base());
  if (!stacked.is_leaf() || stacked.dim() != 3 || !stacked.grad().defined()) return {};
  return stacked.grad().select(0, (weight.storage_offset() - stacked.storage_offset()) / weight.numel());
}

}  // namespace

Tensor weight_gradient(const Tensor& weight, const Tensor& d_y, const Tensor& x) {
  const Tensor sum = weight.is_leaf() ? weight.grad() : sum_of_slice(weight);
  if (!sum.defined()) return product(d_y.t(), x);
  if (weight.is_contiguous()) {
    add_product(sum, d_y.t(), x);
  } else {
    add_product(sum, x.t(), d_y);
  }
  return {};
}

Tensor linear(const Tensor& x_TD, const Tensor& weight_ED, const Tensor& bias_E) {
  DDRO_CHECK(x_TD.dim() == 2, "linear takes a row a token");
  return Linear::apply(x_TD, weight_ED, if_defined(bias_E));
}

Tensor swiglu_linear(const Tensor& gate_TF, const Tensor& up_TF, const Tensor& weight_EF,
                     const Tensor& bias_E) {
  DDRO_CHECK(gate_TF.dim() == 2, "swiglu_linear takes a row a token");
  return SwiGluLinear::apply(gate_TF, up_TF, weight_EF, if_defined(bias_E));
}

Tensor embedding(const Tensor& weight_VD, const Tensor& ids_T) { return Embedding::apply(weight_VD, ids_T); }

}  // namespace ddro::ops
