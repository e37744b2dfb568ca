#include "doctor/gradients.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

#include "doctor/checks.h"
#include "unit/doctor/small_machine.h"

namespace ddro::doctor {
namespace {

using ::testing::HasSubstr;

TEST(Gradients, AgreeWithFloat64OnEveryDevice) {
  const Findings findings = check_gradients(test::SmallMachine().machine());
  EXPECT_GE(findings.size(), 2u);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.status, Status::kOk) << finding.name << ": " << finding.text;
    EXPECT_GT(finding.value.get<double>(), 0) << finding.name;
  }
}

TEST(Gradients, TheWorstTensorIsNamed) {
  const NamedTensors exact = {{"a", at::ones({4}, at::kDouble)}, {"b", at::ones({4}, at::kDouble)}};
  const NamedTensors got = {{"a", at::full({4}, 1.01)}, {"b", at::full({4}, 1.5)}};
  EXPECT_EQ(compare_gradients("gradients", got, exact, 0.6).status, Status::kOk);
  const Finding finding = compare_gradients("gradients", got, exact, 0.1);
  EXPECT_EQ(finding.status, Status::kFailed);
  EXPECT_NEAR(finding.value.get<double>(), 0.5, 1e-12);
  EXPECT_THAT(finding.text, HasSubstr("(b)"));
}

TEST(Gradients, NotANumberIsAnError) {
  const NamedTensors exact = {{"a", at::ones({2}, at::kDouble)}, {"b", at::ones({2}, at::kDouble)}};
  const NamedTensors got = {{"a", at::full({2}, std::numeric_limits<double>::quiet_NaN())},
                            {"b", at::ones({2})}};
  EXPECT_EQ(compare_gradients("gradients", got, exact, 0.1).status, Status::kFailed);
}

}  // namespace
}  // namespace ddro::doctor
