#include "run/gpu.h"

#include <c10/core/AllocatorConfig.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>

#include "support/expect_error.h"
#include "support/tiny_model.h"

namespace ddro::run {
namespace {

using test::message_of;
using ::testing::HasSubstr;

using Settings = c10::CachingAllocator::AcceleratorAllocatorConfig;

TEST(Capability, TooOldIsOneLineThatSaysSo) {
  for (const Capability enough : {Capability{7, 5}, Capability{8, 0}, Capability{12, 0}})
    check_capability("a device", enough);
  for (const Capability old : {Capability{7, 0}, Capability{6, 1}}) {
    EXPECT_THAT(message_of(ErrorKind::kModel, [&] { check_capability("Tesla V100", old); }),
                HasSubstr("expected at least 7.5"));
  }
}

TEST(Segments, GrowWhereTheFirstAllocationWorks) {
  bool growing = false;
  choose_segments([&] { growing = Settings::use_expandable_segments(); });
  EXPECT_TRUE(growing);
  EXPECT_TRUE(Settings::use_expandable_segments());
}

TEST(Segments, AreFixedWhereItFails) {
  choose_segments([] { TORCH_CHECK(false, "operation not supported"); });
  EXPECT_FALSE(Settings::use_expandable_segments());
}

TEST(SlowPaths, AreNamed) {
  models::ModelSpec spec = test::tiny_spec();  // heads of 8
  EXPECT_TRUE(gpu_remarks(spec, at::kBFloat16).empty());
  EXPECT_THAT(gpu_remarks(spec, at::kFloat).at(0), HasSubstr("float32 on a GPU"));
  spec.layers.back().attention.head_dim = 12;
  EXPECT_THAT(gpu_remarks(spec, at::kBFloat16).at(0), HasSubstr("heads of width 12"));
  spec.layers.front().attention.alibi.emplace();
  EXPECT_THAT(gpu_remarks(spec, at::kBFloat16).at(0), HasSubstr("biases (ALiBi)"));
  spec.layers.front().attention.softcap = 30;
  EXPECT_THAT(gpu_remarks(spec, at::kBFloat16).at(0), HasSubstr("capped"));
}

}  // namespace
}  // namespace ddro::run
