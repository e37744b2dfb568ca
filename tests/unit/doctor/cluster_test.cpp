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
    if (finding.name == "rank") continue;
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

Finding rank_with(std::map<std::string, std::string> variables) {
  SmallMachine small;
  small.variables = std::move(variables);
  return named(check_cluster(small.machine()), "rank");
}

TEST(Cluster, SaysWhichRankARunWouldBe) {
  EXPECT_EQ(rank_with({}).text, "one process");
  const Finding second = rank_with({{"WORLD_SIZE", "4"},
                                    {"RANK", "1"},
                                    {"LOCAL_RANK", "1"},
                                    {"LOCAL_WORLD_SIZE", "4"},
                                    {"MASTER_ADDR", "n1"},
                                    {"MASTER_PORT", "29500"}});
  EXPECT_EQ(second.status, Status::kOk);
  EXPECT_EQ(second.text, "rank 1 of 4, which meet at n1:29500");
  EXPECT_EQ(second.value, Json({{"rank", 1}, {"size", 4}}));
}

TEST(Cluster, WarnsOfTasksThatWouldTrainAlone) {
  const Finding alone = rank_with({{"SLURM_NTASKS", "8"}});
  EXPECT_EQ(alone.status, Status::kWarning);
  EXPECT_EQ(alone.text, "one process");
  EXPECT_THAT(alone.hint, HasSubstr("with srun before the command each task is a rank"));
}

TEST(Cluster, FailsWhereRanksWouldNotFindEachOther) {
  const Finding lost = rank_with({{"WORLD_SIZE", "4"}, {"RANK", "0"}});
  EXPECT_EQ(lost.status, Status::kFailed);
  EXPECT_THAT(lost.hint, HasSubstr("[LOCAL_WORLD_SIZE] is not set beside WORLD_SIZE"));
}

}  // namespace
}  // namespace ddro::doctor
