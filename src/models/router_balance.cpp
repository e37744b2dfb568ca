#include "ddro/models/router_balance.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The logits as they are. `slope_N` is read by the backward: what is in it then counts.
class AddSlope : public torch::autograd::Function<AddSlope> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& logits, const Tensor& weight,
                        const Tensor& slope) {
    ctx->save_for_backward({logits, weight});
    ctx->saved_data["slope"] = slope;
    return logits.view_as(logits);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const Tensor softmax_TN = at::softmax(saved[0], 1);
    const Tensor d_softmax_TN = (saved[1] * ctx->saved_data["slope"].toTensor()).to(softmax_TN.scalar_type());
    const Tensor mean_T1 = (softmax_TN * d_softmax_TN).sum(1, /*keepdim=*/true);
    return {grads[0] + softmax_TN * (d_softmax_TN - mean_T1), Tensor(), Tensor()};
  }
};

}  // namespace

RouterBalance::RouterBalance(std::int64_t num_experts, at::Device device)
    : chosen_N_(at::zeros({num_experts}, at::TensorOptions(at::kDouble).device(device))),
      probability_N_(at::zeros_like(chosen_N_)),
      slope_N_(at::zeros_like(chosen_N_)) {}

void RouterBalance::set_tokens(const Tensor& weight_T) { weight_T1_ = weight_T.to(at::kDouble).unsqueeze(1); }

Tensor RouterBalance::operator()(const Tensor& logits_TN, const Tensor& chosen_TC) {
  DDRO_CHECK(weight_T1_.size(0) == logits_TN.size(0), "a weight for each token");
  if (measuring_) {
    const at::NoGradGuard no_grad;
    const Tensor times_TN = at::one_hot(chosen_TC, chosen_N_.size(0)).sum(1);
    chosen_N_.add_((weight_T1_ * times_TN).sum(0));
    probability_N_.add_((weight_T1_ * at::softmax(logits_TN, 1)).sum(0));
    tokens_ += weight_T1_.sum().item<double>();
  }
  return AddSlope::apply(logits_TN, weight_T1_, slope_N_);
}

void RouterBalance::join(const std::function<void(const Tensor&)>& add_up) {
  const Tensor tokens_1 = at::full({1}, tokens_, chosen_N_.options());
  for (const Tensor& sum : {chosen_N_, probability_N_, tokens_1}) add_up(sum);
  tokens_ = tokens_1.item<double>();
}

double RouterBalance::finish(double coefficient) {
  DDRO_CHECK(measuring_ && tokens_ > 0, "a loss of tokens that were measured, once");
  measuring_ = false;
  const auto experts = static_cast<double>(chosen_N_.size(0));
  const Tensor share_N = chosen_N_ / tokens_;
  slope_N_.copy_(share_N * (coefficient * experts / tokens_));
  return experts * (share_N * probability_N_).sum().item<double>() / tokens_;
}

}  // namespace ddro::models
