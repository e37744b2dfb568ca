#include "ddro/train/step_trace.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

TEST(StepTrace, NamesTheGradientWithOneOtherBit) {
  const test::TwoParameters model;
  const Parameters parameters(model, model.initial());
  for (const Parameter& entry : parameters.entries()) entry.gradient.normal_();
  const StepResult result;
  const StepTrace before(result, parameters);
  EXPECT_EQ(before.difference(StepTrace(result, parameters)), "");
  parameters.entries()[1].gradient.view(at::kInt)[5].bitwise_xor_(1);
  EXPECT_EQ(before.difference(StepTrace(result, parameters)), "the gradient of model.norm.weight");
}

TEST(StepTrace, NamesTheFirstOfSeveralDifferences) {
  const test::TwoParameters model;
  const Parameters parameters(model, model.initial());
  StepResult result;
  result.completions.resize(2);
  const StepTrace before(result, parameters);
  result.loss = std::nextafter(0, 1);
  EXPECT_EQ(before.difference(StepTrace(result, parameters)), "the loss");
  result.completions[1].logp = 1;
  EXPECT_EQ(before.difference(StepTrace(result, parameters)), "the log-probability of completion 1");
}

}  // namespace
}  // namespace ddro::train
