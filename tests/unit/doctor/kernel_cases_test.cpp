#include "doctor/kernel_cases.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/cuda.h>

#include <limits>

namespace ddro::doctor {
namespace {

using ::testing::HasSubstr;

// The kernel's place is taken by the twin in the inputs' own type: what the tolerance has to cover.
Finding twin_as_kernel(KernelCase kernel_case) {
  kernel_case.kernel = kernel_case.twin;
  return compare(kernel_case, at::kCPU);
}

TEST(KernelCases, AllowForRoundingAlone) {
  for (const KernelCase& kernel_case : kernel_cases()) {
    const Finding finding = twin_as_kernel(kernel_case);
    EXPECT_EQ(finding.status, Status::kOk) << finding.name << ": " << finding.text;
  }
}

// One number of each result in turn is off by a sixteenth of the largest.
TEST(KernelCases, FindAKernelMadeWrongOnPurpose) {
  for (KernelCase kernel_case : kernel_cases()) {
    const TensorFunction right = kernel_case.twin;
    const size_t results = right(kernel_case.inputs).size();
    for (size_t wrong = 0; wrong < results; ++wrong) {
      kernel_case.kernel = [right, wrong](const Tensors& inputs) {
        Tensors all = right(inputs);
        all[wrong] = all[wrong].to(at::kDouble).contiguous();
        all[wrong].view(-1)[-1].add_(all[wrong].abs().max() / 16);
        return all;
      };
      if (right(kernel_case.inputs)[wrong].numel() == 0) continue;
      const Finding finding = compare(kernel_case, at::kCPU);
      EXPECT_EQ(finding.status, Status::kFailed) << finding.name << ", result " << wrong;
      EXPECT_THAT(finding.text, HasSubstr("is allowed"));
    }
  }
}

TEST(KernelCases, FindWhatIsNotANumber) {
  KernelCase kernel_case = kernel_cases().front();
  const TensorFunction right = kernel_case.twin;
  kernel_case.kernel = [right](const Tensors& inputs) {
    Tensors all = right(inputs);
    all[0].view(-1)[0] = std::numeric_limits<float>::quiet_NaN();
    return all;
  };
  EXPECT_EQ(compare(kernel_case, at::kCPU).status, Status::kFailed);
}

TEST(KernelCasesCuda, AgreeWithTheirTwins) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  for (const KernelCase& kernel_case : kernel_cases()) {
    const Finding finding = compare(kernel_case, at::Device(at::kCUDA, 0));
    EXPECT_EQ(finding.status, Status::kOk) << finding.name << ": " << finding.text;
  }
}

}  // namespace
}  // namespace ddro::doctor
