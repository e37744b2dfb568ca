// Stochastic gradient descent with momentum, as torch.optim.SGD has it: weight decay is added to the
// gradient, and the first update's momentum is the gradient itself.
#include <ATen/ATen.h>

#include "train/update_rule.h"

namespace ddro::train {
namespace {

// g <- g + decay w
void add_decay(const UpdateBatch& batch) {
  if (batch.weight_decay > 0) at::_foreach_add_(batch.gradients, batch.weights, batch.weight_decay);
}

}  // namespace

UpdateRule sgd(const OptimizerOptions& options) {
  if (options.used_momentum() == 0) {
    return {{}, [](const UpdateBatch& batch) {
              add_decay(batch);
              at::_foreach_add_(batch.weights, batch.gradients, -batch.learning_rate);
            }};
  }
  // b <- momentum b + g;  w <- w - rate b, or with Nesterov's look ahead w <- w - rate (g + momentum b)
  return {{{"momentum_buffer", Moment::Kind::kFirst}},
          [momentum = options.used_momentum(), nesterov = options.used_nesterov()](const UpdateBatch& batch) {
            add_decay(batch);
            at::_foreach_mul_(batch.moments[0], momentum);
            at::_foreach_add_(batch.moments[0], batch.gradients);
            if (nesterov) at::_foreach_add_(batch.gradients, batch.moments[0], momentum);
            at::_foreach_add_(batch.weights, nesterov ? batch.gradients : batch.moments[0],
                              -batch.learning_rate);
          }};
}

}  // namespace ddro::train
