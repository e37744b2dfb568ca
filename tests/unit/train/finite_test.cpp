#include "ddro/train/finite.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(NonFiniteOrigin, IsTheGradientThatTheBackwardPassMetFirst) {
  const test::TwoParameters model;
  const Parameters parameters(model, model.initial());
  EXPECT_EQ(non_finite_origin(parameters), "");
  parameters.entries()[0].gradient[3][4] = kInfinity;
  EXPECT_EQ(non_finite_origin(parameters), "the gradient of model.embed_tokens.weight");
  parameters.entries()[1].gradient[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(non_finite_origin(parameters), "the gradient of model.norm.weight");
}

TEST(NonFiniteOrigin, IsAWeightWhereOneIsNotFinite) {
  const test::TwoParameters model(at::kBFloat16);
  const Parameters parameters(model, model.initial());
  parameters.entries()[0].gradient[3][4] = kInfinity;
  parameters.entries()[1].compute.detach()[5] = kInfinity;
  EXPECT_EQ(non_finite_origin(parameters), "the weights model.norm.weight");
}

}  // namespace
}  // namespace ddro::train
