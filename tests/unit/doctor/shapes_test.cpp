#include "doctor/shapes.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

namespace ddro::doctor {
namespace {

std::int64_t num_parameters(Shape shape) {
  std::int64_t count = 0;
  for (const auto& [name, sizes] : models::parameters_of(spec_of(shape)))
    count += std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
  return count;
}

// As their authors give them: SmolLM2-135M, Llama-3.2-1B, Llama-3.1-8B.
TEST(Shapes, HaveAsManyParametersAsTheModelsTheyAreNamedAfter) {
  EXPECT_EQ(num_parameters(Shape::k135M), 134'515'008);
  EXPECT_EQ(num_parameters(Shape::k1B), 1'235'814'400);
  EXPECT_EQ(num_parameters(Shape::k8B), 8'030'261'248);
}

}  // namespace
}  // namespace ddro::doctor
