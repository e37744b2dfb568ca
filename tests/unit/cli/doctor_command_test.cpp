#include <gmock/gmock.h>

#include <map>

#include "ddro/base/json.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::run_program;
using test::test_environment;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::map<std::string, Json> by_name(const ProgramResult& result) {
  std::map<std::string, Json> findings;
  const Json all = Json::parse(result.out);
  EXPECT_TRUE(all.at("sound").get<bool>());
  for (const Json& finding : all.at("findings")) findings[finding.at("name")] = finding;
  return findings;
}

TEST(DoctorCommand, FindsThisMachineSound) {
  const test::TemporaryFolder folder;
  const ProgramResult result = ddro_train({"doctor", "--json", "--dir", folder.path().string()});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  const auto findings = by_name(result);
  for (const char* name : {"program", "libtorch", "cpu", "cpu_kernels", "cores", "threads", "disk_write",
                           "gradients cpu float32", "slurm"}) {
    EXPECT_TRUE(findings.contains(name)) << name;
  }
  for (const char* name : {"matmul_rate cpu float32", "copy_rate cpu bfloat16"})
    EXPECT_GT(findings.at(name).at("value").get<double>(), 1e8) << name;
  EXPECT_TRUE(findings.contains("kernel swiglu bfloat16"));
}

TEST(DoctorCommand, SaysInLinesWhatIsWrong) {
  const ProgramResult result =
      run_program({"env", "ATEN_CPU_CAPABILITY=default", "OMP_NUM_THREADS=1", "WORLD_SIZE=2",
                   test_environment("DDRO_TRAIN"), "doctor", "--dir", "/proc/self"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err, "ddro-train: error: [doctor] a check has failed; training here is not safe\n");
  EXPECT_THAT(result.out, StartsWith("ok       program "));
  EXPECT_THAT(result.out, HasSubstr("\nwarning  cpu_kernels                       DEFAULT in LibTorch"));
  EXPECT_THAT(result.out, HasSubstr("1 thread (OMP_NUM_THREADS"));
  EXPECT_THAT(result.out, HasSubstr("\nfailed   disk_write "));
  EXPECT_THAT(result.out, HasSubstr("\nfailed   rank "));
}

}  // namespace
}  // namespace ddro
