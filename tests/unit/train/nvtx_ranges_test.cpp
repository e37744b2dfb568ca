#include "ddro/train/nvtx_ranges.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gmock/gmock.h>
#include <torch/csrc/profiler/stubs/base.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "ddro/base/tensor.h"
#include "support/expect_error.h"

namespace ddro::train {
namespace {

namespace impl = torch::profiler::impl;

// Stands for NVTX; what is pushed, and "-" for each pop.
class Recorder : public impl::ProfilerStubs {
 public:
  Recorder() : before_(impl::cudaStubs()) { impl::registerCUDAMethods(this); }
  ~Recorder() override { impl::registerCUDAMethods(const_cast<impl::ProfilerStubs*>(before_)); }

  void record(c10::DeviceIndex*, impl::ProfilerVoidEventStub*, int64_t*) const override {}
  float elapsed(const impl::ProfilerVoidEventStub*, const impl::ProfilerVoidEventStub*) const override {
    return 0;
  }
  void mark(const char*) const override {}
  void rangePush(const char* name) const override { seen.push_back(std::string(name)); }
  void rangePop() const override { seen.push_back("-"); }
  bool enabled() const override { return true; }
  void onEachDevice(std::function<void(int)>) const override {}
  void synchronize() const override {}

  mutable std::vector<std::string> seen;

 private:
  const impl::ProfilerStubs* before_;
};

std::vector<std::string> ranges_of(NvtxRanges ranges) {
  const Recorder recorder;
  const Tensor a = at::ones({4, 4});
  {
    const NvtxScope scope(ranges);
    RECORD_USER_SCOPE("forward");
    at::mm(a, a);
  }
  RECORD_USER_SCOPE("afterwards");
  return recorder.seen;
}

// LibTorch writes numbers behind the names.
TEST(NvtxRanges, ArePhases) {
  EXPECT_THAT(ranges_of(NvtxRanges::kPhases), testing::ElementsAre(testing::StartsWith("forward"), "-"));
}

TEST(NvtxRanges, AreOperationsInPhases) {
  const std::vector<std::string> ranges = ranges_of(NvtxRanges::kOperations);
  ASSERT_GE(ranges.size(), 4U);
  EXPECT_THAT(ranges[0], testing::StartsWith("forward"));
  EXPECT_THAT(ranges[1], testing::StartsWith("aten::mm"));
  EXPECT_EQ(static_cast<size_t>(std::count(ranges.begin(), ranges.end(), "-")), ranges.size() / 2);
  EXPECT_EQ(ranges.back(), "-");
}

TEST(NvtxRanges, AreNoneWhereNoneAreAskedFor) {
  EXPECT_THAT(ranges_of(NvtxRanges::kNone), testing::IsEmpty());
}

TEST(NvtxRanges, AreAskedForByTheEnvironment) {
  unsetenv("DDRO_NVTX");
  EXPECT_EQ(nvtx_ranges_wanted(), NvtxRanges::kNone);
  setenv("DDRO_NVTX", "phases", 1);
  EXPECT_EQ(nvtx_ranges_wanted(), NvtxRanges::kPhases);
  setenv("DDRO_NVTX", "kernels", 1);
  EXPECT_THAT(test::message_of(ErrorKind::kInput, nvtx_ranges_wanted), testing::StartsWith("[DDRO_NVTX]"));
  unsetenv("DDRO_NVTX");
}

}  // namespace
}  // namespace ddro::train
