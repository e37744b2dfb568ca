// Tests that run on the CPU and on a CUDA device with one body: what is skipped where there is no device is
// known to be right.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

namespace ddro::test {

// A suite NAME of such tests has the instances NAMECpu and NAMECuda.
class OnDevice : public testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  }
  at::Device device() const {
    return {GetParam(), static_cast<c10::DeviceIndex>(GetParam() == at::kCUDA ? 0 : -1)};
  }
};

}  // namespace ddro::test
