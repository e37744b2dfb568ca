#include <gmock/gmock.h>

#include "doctor/checks.h"
#include "unit/doctor/small_machine.h"

namespace ddro::doctor {
namespace {

using test::named;
using test::SmallMachine;
using ::testing::HasSubstr;

Finding found(const SmallMachine& small, const std::string& name) {
  return named(check_processor(small.machine()), name);
}

TEST(Processor, IsDescribed) {
  const SmallMachine small;
  EXPECT_EQ(found(small, "cpu").text, "Example 9000");
  EXPECT_EQ(found(small, "cores").value, 4);
  EXPECT_EQ(found(small, "cores").text, "4 that this process may run on, 4 of 4 hardware threads");
  EXPECT_EQ(found(small, "cpu_quota").text, "none");
  EXPECT_EQ(found(small, "threads").value, 4);
  EXPECT_EQ(found(small, "cpu_kernels").status, Status::kOk);
  EXPECT_THAT(found(small, "cpu_kernels").text, HasSubstr("avx512_bf16"));
}

TEST(Processor, SaysThatItHasNoAvx512) {
  SmallMachine small;
  small.cpu("avx2");
  small.capability = "AVX2";
  EXPECT_EQ(found(small, "cpu_kernels").status, Status::kOk);
  EXPECT_EQ(found(small, "cpu_kernels").text, "AVX2 in LibTorch; the CPU has avx2");
}

TEST(Processor, WarnsOfKernelsBelowWhatItCanDo) {
  SmallMachine small;
  small.capability = "AVX2";
  EXPECT_EQ(found(small, "cpu_kernels").status, Status::kWarning);
  EXPECT_EQ(found(small, "cpu_kernels").hint, "AVX512 kernels are faster; unset ATEN_CPU_CAPABILITY");
  small.cpu("sse4_2");
  small.capability = "DEFAULT";
  EXPECT_EQ(found(small, "cpu_kernels").status, Status::kWarning);
  EXPECT_THAT(found(small, "cpu_kernels").text, HasSubstr("none of AVX2"));
}

TEST(Processor, WarnsOfAQuotaBelowItsCores) {
  SmallMachine small;
  small.quota("150000 100000");
  const Finding quota = found(small, "cpu_quota");
  EXPECT_EQ(quota.status, Status::kWarning);
  EXPECT_EQ(quota.text, "1.5 CPUs, fewer than cores");
  EXPECT_EQ(quota.value, 1.5);
  EXPECT_EQ(found(small, "threads").value, 2);
  EXPECT_THAT(found(small, "threads").text, HasSubstr("CPU quota of 1.5"));
  small.quota("800000 100000");
  EXPECT_EQ(found(small, "cpu_quota").status, Status::kOk);
}

}  // namespace
}  // namespace ddro::doctor
