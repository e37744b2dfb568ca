// Adafactor (Shazeer & Stern 2018) as Hugging Face's Trainer sets it: a learning rate that is given, no first
// moment. Of a matrix's squared gradients it keeps the means of rows and columns.
//
//   b <- 1 - t^-0.8
//   R <- b R + (1 - b) mean over columns of g^2 + 1e-30,  C the same over rows
//   u <- g / sqrt(R C^T / mean(R));  u <- u / max(1, rms(u))
//   w <- (1 - rate decay) w - rate u
#include <ATen/ATen.h>

#include <cmath>

#include "train/update_rule.h"

namespace ddro::train {
namespace {

constexpr double kDecayRate = 0.8;
constexpr double kEpsilon = 1e-30;

void follow(const Tensor& moment, const Tensor& value, std::int64_t update) {
  moment.lerp_(value, std::pow(static_cast<double>(update), -kDecayRate));
}

void apply(const UpdateBatch& batch, size_t i, const Tensor& scale) {
  const Tensor change = batch.gradients[i].mul_(scale);
  const Tensor rms = at::linalg_vector_norm(change, 2) / std::sqrt(static_cast<double>(change.numel()));
  change.div_(rms.clamp_min_(1));  // which no CPU waits for
  if (batch.weight_decay > 0) batch.weights[i].mul_(1 - batch.learning_rate * batch.weight_decay);
  batch.weights[i].sub_(change, batch.learning_rate);
}

void update_matrices(const UpdateBatch& batch) {
  for (size_t i = 0; i < batch.weights.size(); ++i) {
    const Tensor square = batch.gradients[i].square().add_(kEpsilon);
    const Tensor &rows = batch.moments[0][i], &columns = batch.moments[1][i];
    follow(rows, square.mean(-1), batch.update);
    follow(columns, square.mean(-2), batch.update);
    const Tensor row_scale = (rows / rows.mean(-1, /*keepdim=*/true)).rsqrt_();
    apply(batch, i, row_scale.unsqueeze(-1) * columns.rsqrt().unsqueeze(-2));
  }
}

void update_vectors(const UpdateBatch& batch) {
  for (size_t i = 0; i < batch.weights.size(); ++i) {
    const Tensor& mean = batch.moments[0][i];
    follow(mean, batch.gradients[i].square().add_(kEpsilon), batch.update);
    apply(batch, i, mean.rsqrt());
  }
}

}  // namespace

UpdateRules adafactor() {
  using Shape = MomentSpec::Shape;
  return {.matrices = {{{"exp_avg_sq_row", Moment::Kind::kSecond, Shape::kRows},
                        {"exp_avg_sq_col", Moment::Kind::kSecond, Shape::kColumns}},
                       update_matrices},
          .others = {{{"exp_avg_sq", Moment::Kind::kSecond}}, update_vectors},
          .is_matrix = [](models::ParameterRole, at::IntArrayRef sizes) { return sizes.size() >= 2; }};
}

}  // namespace ddro::train
