// The loss that evens out how a model's routers share out tokens among experts (Fedus et al. 2021, as
// transformers' load_balancing_loss_func):
//
//   L = N sum_n f_n P_n
//
// f_n: how often expert n is chosen, a constant to gradients; P_n: mean of its softmax. Both are means over
// all layers with experts and all tokens that were measured, each as often as it counts.
//
// Legend: T packed tokens, N experts, C experts chosen for a token.
#pragma once

#include <cstdint>
#include <functional>

#include "ddro/base/tensor.h"

namespace ddro::models {

// Measures first, with any number of forwards; then fixes the loss, whose gradient is a sum over tokens, so
// that the backward of each forward adds its own part.
class RouterBalance {
 public:
  RouterBalance(std::int64_t num_experts, at::Device device);

  // `weight_T`: how often each token of the next forwards counts.
  void set_tokens(const Tensor& weight_T);

  // For the model: of one layer. Counts what the router chose while measuring. The result is the logits;
  // their backward adds the gradient of coefficient * L.
  Tensor operator()(const Tensor& logits_TN, const Tensor& chosen_TC);

  bool is_measuring() const { return measuring_; }
  // What others measured as well: `add_up` sums a tensor over them, in place.
  void join(const std::function<void(const Tensor&)>& add_up);
  // L of the tokens measured, which are all there are.
  double finish(double coefficient);

 private:
  bool measuring_ = true;
  Tensor weight_T1_;
  Tensor chosen_N_, probability_N_;  // sums
  double tokens_ = 0;                // of all layers
  Tensor slope_N_;                   // of coefficient * L by a token's probabilities
};

}  // namespace ddro::models
