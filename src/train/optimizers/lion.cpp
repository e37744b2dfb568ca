// Lion (Chen et al. 2023, algorithm 2): the sign of a mean of gradient and momentum, decoupled weight decay.
//
//   w <- (1 - rate decay) w - rate sign(beta1 m + (1 - beta1) g)
//   m <- beta2 m + (1 - beta2) g
#include <ATen/ATen.h>

#include "train/update_rule.h"

namespace ddro::train {

UpdateRule lion(const OptimizerOptions& options) {
  return {{{"exp_avg", Moment::Kind::kFirst}},
          [beta1 = options.adam_beta1, beta2 = options.adam_beta2](const UpdateBatch& batch) {
            // A tensor at a time: what is in between is as large as one of them.
            for (size_t i = 0; i < batch.weights.size(); ++i) {
              const Tensor &gradient = batch.gradients[i], &momentum = batch.moments[0][i];
              const Tensor direction = at::lerp(momentum, gradient, 1 - beta1).sign_();
              if (batch.weight_decay > 0) batch.weights[i].mul_(1 - batch.learning_rate * batch.weight_decay);
              batch.weights[i].sub_(direction, batch.learning_rate);
              momentum.lerp_(gradient, 1 - beta2);
            }
          }};
}

}  // namespace ddro::train
