// Muon (Jordan et al. 2024) as torch.optim.Muon has it: a hidden matrix moves along its momentum with
// singular values brought near 1. Embeddings, head and vectors are AdamW's.
//
//   m <- mu m + (1 - mu) g;  u = m, or with Nesterov's look ahead (1 - mu) g + mu m
//   X <- u / |u|, five times X <- a X + (b A + c A^2) X with A = X X^T, in bfloat16
//   w <- (1 - rate decay) w - rate s X,  s: AdjustLr
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "train/update_rule.h"

namespace ddro::train {
namespace {

constexpr int kNewtonSchulzSteps = 5;
constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
constexpr double kLeastNorm = 1e-7;

// The products are of the shorter side.
Tensor orthogonalized(const Tensor& matrix_RC) {
  const bool is_tall = matrix_RC.size(0) > matrix_RC.size(1);
  const Tensor short_RC = matrix_RC.to(at::kBFloat16);
  Tensor x = is_tall ? short_RC.t() : short_RC;
  x.div_(at::linalg_vector_norm(x, 2).clamp_min_(kLeastNorm));
  for (int step = 0; step < kNewtonSchulzSteps; ++step) {
    const Tensor gram = at::mm(x, x.t());
    const Tensor factor = at::addmm(gram, gram, gram, kB, kC);
    x = at::addmm(x, factor, x, kA);
  }
  return is_tall ? x.t() : x;
}

double rate_factor(AdjustLr adjust, const Tensor& matrix_RC) {
  const auto rows = static_cast<double>(matrix_RC.size(0)), columns = static_cast<double>(matrix_RC.size(1));
  switch (adjust) {
    case AdjustLr::kOriginal:
      return std::sqrt(std::max(1.0, rows / columns));
    case AdjustLr::kMatchRmsAdamW:
      return 0.2 * std::sqrt(std::max(rows, columns));
  }
  return 1;
}

// Stacked matrices are each one of their own.
std::vector<Tensor> matrices_of(const Tensor& tensor) {
  return tensor.dim() == 2 ? std::vector{tensor} : tensor.unbind();
}

}  // namespace

UpdateRules muon(const OptimizerOptions& options) {
  const auto update = [momentum = options.used_momentum(), nesterov = options.used_nesterov(),
                       adjust = options.adjust_lr_fn](const UpdateBatch& batch) {
    for (size_t i = 0; i < batch.weights.size(); ++i) {
      const Tensor &gradient = batch.gradients[i], &mean = batch.moments[0][i];
      mean.lerp_(gradient, 1 - momentum);
      if (batch.weight_decay > 0) batch.weights[i].mul_(1 - batch.learning_rate * batch.weight_decay);
      const std::vector<Tensor> weights = matrices_of(batch.weights[i]);
      const std::vector<Tensor> directions = matrices_of(nesterov ? gradient.lerp_(mean, momentum) : mean);
      for (size_t j = 0; j < weights.size(); ++j)
        weights[j].sub_(orthogonalized(directions[j]), batch.learning_rate * rate_factor(adjust, weights[j]));
    }
  };
  return {.matrices = {{{"momentum_buffer", Moment::Kind::kFirst}}, update},
          .others = adamw(options),
          .is_matrix = [](models::ParameterRole role, at::IntArrayRef) {
            return role == models::ParameterRole::kMatrix;
          }};
}

}  // namespace ddro::train
