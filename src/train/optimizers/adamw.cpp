// AdamW (Loshchilov & Hutter 2019): decoupled weight decay, bias-corrected moments.
#include <ATen/ATen.h>

#include "train/update_rule.h"

namespace ddro::train {

UpdateRule adamw(const OptimizerOptions& options) {
  return {{{"exp_avg", Moment::Kind::kFirst}, {"exp_avg_sq", Moment::Kind::kSecond}},
          [beta1 = options.adam_beta1, beta2 = options.adam_beta2,
           epsilon = options.adam_epsilon](const UpdateBatch& batch) {
            const Tensor step = at::full({}, static_cast<double>(batch.update),
                                         at::TensorOptions(batch.weights.front().device()).dtype(at::kFloat));
            at::_fused_adamw_(batch.weights, batch.gradients, batch.moments[0], batch.moments[1],
                              /*max_exp_avg_sqs=*/{}, std::vector<Tensor>(batch.weights.size(), step),
                              batch.learning_rate, beta1, beta2, batch.weight_decay, epsilon,
                              /*amsgrad=*/false, /*maximize=*/false);
          }};
}

}  // namespace ddro::train
