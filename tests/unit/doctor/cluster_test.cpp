#include <gmock/gmock.h>

#include "doctor/checks.h"
#include "unit/doctor/small_machine.h"

namespace ddro::doctor {
namespace {

using test::named;
using test::SmallMachine;
using ::testing::HasSubstr;

TEST(Cluster, IsNotThereByDefault) {
  for (const Finding& finding : check_cluster(SmallMachine().machine())) {
    EXPECT_EQ(finding.status, Status::kOk) << finding.name;
    EXPECT_EQ(finding.text, "none of its variables is set");
    EXPECT_EQ(finding.value, Json::object());
  }
}

TEST(Cluster, ShowsWhatIsSet) {
  SmallMachine small;
  small.variables = {{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "1"}, {"GLOO_SOCKET_IFNAME", "lo\n"}};
  const Findings findings = check_cluster(small.machine());
  EXPECT_EQ(named(findings, "slurm").text, "SLURM_JOB_ID=7, SLURM_NTASKS=1");
  EXPECT_EQ(named(findings, "slurm").value, Json({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "1"}}));
  EXPECT_EQ(named(findings, "c10d").text, "GLOO_SOCKET_IFNAME=lo\\n");
}

TEST(Cluster, WarnsOfSeveralProcesses) {
  SmallMachine small;
  small.variables = {{"SLURM_NTASKS", "8"}, {"WORLD_SIZE", "4"}, {"RANK", "0"}};
  const Findings findings = check_cluster(small.machine());
  EXPECT_EQ(named(findings, "slurm").status, Status::kWarning);
  EXPECT_EQ(named(findings, "torchrun").status, Status::kWarning);
  EXPECT_THAT(named(findings, "torchrun").hint, HasSubstr("4 of them would train the same run"));
}

}  // namespace
}  // namespace ddro::doctor
