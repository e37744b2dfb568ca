#include "ddro/dist/launch.h"

#include <gmock/gmock.h>

#include <map>

#include "ddro/base/error.h"
#include "support/expect_error.h"

namespace ddro::dist {
namespace {

using ::testing::HasSubstr;
using Given = std::map<std::string, std::string>;

Launch launch_of(Given given) {
  return read_launch([given = std::move(given)](const char* name) -> std::optional<std::string> {
    const auto found = given.find(name);
    return found == given.end() ? std::nullopt : std::optional(found->second);
  });
}

Given torchrun() {
  return {{"WORLD_SIZE", "4"},         {"RANK", "3"},
          {"LOCAL_WORLD_SIZE", "2"},   {"LOCAL_RANK", "1"},
          {"MASTER_ADDR", "10.0.0.7"}, {"MASTER_PORT", "29500"}};
}

// As srun sets them for the third task of `--nodes=2 --ntasks-per-node=2`.
Given slurm() {
  return {{"SLURM_NTASKS", "4"},
          {"SLURM_STEP_NUM_TASKS", "4"},
          {"SLURM_PROCID", "2"},
          {"SLURM_LOCALID", "0"},
          {"SLURM_NODEID", "1"},
          {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
          {"SLURM_JOB_NODELIST", "n[1-2]"},
          {"SLURM_JOB_ID", "13"}};
}

// As mpirun of Open MPI sets them for the last of `-np 4 --map-by ppr:2:node`.
Given open_mpi() {
  return {{"OMPI_COMM_WORLD_SIZE", "4"},
          {"OMPI_COMM_WORLD_RANK", "3"},
          {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
          {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}};
}

Given with(Given given, const std::string& name, const std::string& value) {
  given[name] = value;
  return given;
}

std::string refusal(const Given& given) {
  return test::message_of(ErrorKind::kInput, [&] { launch_of(given); });
}

TEST(Launch, IsOneRankWhereNothingSaysOtherwise) {
  const Launch launch = launch_of({});
  EXPECT_EQ(launch.rank, 0);
  EXPECT_EQ(launch.size, 1);
  EXPECT_EQ(launch.warning, "");
}

// Of other programs, in a shell or a container; or of one that starts a single rank.
TEST(Launch, IsOneRankWithVariablesThatTellOfNoOthers) {
  for (const auto& [name, value] : Given{{"RANK", "0"}, {"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", "1"}}) {
    const Launch launch = launch_of({{name, value}});
    EXPECT_EQ(launch.size, 1);
    EXPECT_EQ(launch.warning, "[" + name + "] has no effect: without WORLD_SIZE this process trains alone");
  }
  for (const Given& given :
       {Given{{"WORLD_SIZE", "1"}}, Given{{"MASTER_ADDR", "n1"}, {"MASTER_PORT", "x"}}}) {
    EXPECT_EQ(launch_of(given).size, 1);
    EXPECT_EQ(launch_of(given).warning, "");
  }
}

// Each of them would train alone, in the same folder.
TEST(Launch, RefusesOneOfSeveralRanksThatDoesNotFindTheOthers) {
  for (const auto& [name, value] :
       Given{{"RANK", "3"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "2"}, {"RANK", "first"}}) {
    EXPECT_EQ(refusal({{name, value}}),
              "[WORLD_SIZE] is not set beside " + name + "; got " + name + " " + value +
                  ", a rank of several, expected all variables of torchrun or srun, or none; to train alone "
                  "unset " +
                  name);
  }
  const Given step = {{"SLURM_JOB_ID", "13"}, {"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "4"}};
  EXPECT_THAT(refusal(step), HasSubstr("[SLURM_STEP_NUM_TASKS] is not set beside SLURM_PROCID; got"));
  EXPECT_THAT(refusal({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "0"}}),
              HasSubstr("[SLURM_NTASKS] is not set beside SLURM_STEP_NUM_TASKS; got"));
}

TEST(Launch, ReadsTheVariablesOfTorchrun) {
  const Launch launch = launch_of(torchrun());
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.local_size, 2);
  EXPECT_EQ(launch.address, "10.0.0.7");
  EXPECT_EQ(launch.port, 29500);
  EXPECT_EQ(launch.sharing_ranks, 2);
  EXPECT_FALSE(launch.is_hosted);
  EXPECT_TRUE(launch_of(with(torchrun(), "TORCHELASTIC_USE_AGENT_STORE", "True")).is_hosted);
  EXPECT_EQ(launch_of(with(torchrun(), "TORCHELASTIC_RESTART_COUNT", "2")).attempt, 2);
}

TEST(Launch, ReadsAStepOfSlurm) {
  const Launch launch = launch_of(slurm());
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_rank, 0);
  EXPECT_EQ(launch.local_size, 2);
  EXPECT_EQ(launch.address, "n1");
  EXPECT_EQ(launch.port, 12013);
  EXPECT_EQ(launch.sharing_ranks, 2);
  EXPECT_EQ(launch_of(with(slurm(), "SLURM_CPUS_PER_TASK", "8")).sharing_ranks, 1);
  const Launch elsewhere = launch_of(with(with(slurm(), "MASTER_ADDR", "127.0.0.1"), "MASTER_PORT", "5000"));
  EXPECT_EQ(elsewhere.address, "127.0.0.1");
  EXPECT_EQ(elsewhere.port, 5000);
}

TEST(Launch, ReadsTheVariablesOfMpirun) {
  const Launch launch = launch_of(with(open_mpi(), "MASTER_ADDR", "n1"));
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.local_size, 2);
  EXPECT_EQ(launch.sharing_ranks, 2);
  EXPECT_EQ(launch.address, "n1");
  EXPECT_EQ(launch.port, 29500);
  const Launch hydra = launch_of({{"PMI_SIZE", "2"},
                                  {"PMI_RANK", "1"},
                                  {"MPI_LOCALNRANKS", "2"},
                                  {"MPI_LOCALRANKID", "1"},
                                  {"MASTER_PORT", "5000"}});
  EXPECT_EQ(hydra.rank, 1);
  EXPECT_EQ(hydra.local_rank, 1);
  EXPECT_EQ(hydra.address, "127.0.0.1") << "all of them are on this machine";
  EXPECT_EQ(hydra.port, 5000);
  EXPECT_EQ(launch_of({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}}).size, 1);
}

TEST(Launch, AsksRanksOfMpirunOnSeveralMachinesWhereTheyMeet) {
  EXPECT_EQ(refusal(open_mpi()), "[MASTER_ADDR] is not set beside OMPI_COMM_WORLD_SIZE");
  EXPECT_THAT(refusal({{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}}),
              HasSubstr("[MPI_LOCALNRANKS] is not set beside PMI_SIZE"));
}

// Its daemons are tasks of a step, one a node; `srun --mpi=pmi2` says the same twice.
TEST(Launch, TellsMpirunInAJobFromSrun) {
  Given daemons = with(with(slurm(), "SLURM_NTASKS", "2"), "SLURM_STEP_NUM_TASKS", "2");
  daemons.merge(with(open_mpi(), "MASTER_ADDR", "n1"));
  EXPECT_EQ(launch_of(daemons).rank, 3);
  EXPECT_EQ(launch_of(daemons).size, 4);
  const Given srun = with(with(slurm(), "PMI_SIZE", "4"), "PMI_RANK", "2");
  EXPECT_EQ(launch_of(srun).rank, 2);
  EXPECT_EQ(launch_of(srun).address, "n1");
}

// Several may go on at once on one machine.
TEST(Launch, HasAPortForEachStepOfAJob) {
  EXPECT_EQ(launch_of(with(slurm(), "SLURM_STEP_ID", "0")).port, 12013);
  EXPECT_EQ(launch_of(with(slurm(), "SLURM_STEP_ID", "2")).port, 14031);
}

// A batch script and a shell of salloc have SLURM_NTASKS, and perhaps the variables of the step that they
// were submitted in; a batch script has SLURM_PROCID 0.
TEST(Launch, TakesABatchScriptForOneRank) {
  Given script = with(slurm(), "SLURM_PROCID", "0");
  script.erase("SLURM_STEP_NUM_TASKS");
  const Given shell = {{"SLURM_JOB_ID", "13"}, {"SLURM_NTASKS", "4"}};
  for (const Given& several : {script, shell, with(script, "SLURM_STEP_NUM_TASKS", "1")}) {
    EXPECT_EQ(launch_of(several).size, 1);
    EXPECT_THAT(launch_of(several).warning,
                HasSubstr("[SLURM_NTASKS] the job has 4 tasks, but srun did not "));
  }
  const Given of_one = with(script, "SLURM_NTASKS", "1");
  for (const char* left_over : {"", "1", "4"}) {
    EXPECT_EQ(launch_of(with(of_one, "SLURM_STEP_NUM_TASKS", left_over)).size, 1);
    EXPECT_EQ(launch_of(with(of_one, "SLURM_STEP_NUM_TASKS", left_over)).warning, "");
  }
}

TEST(Launch, CountsTheTasksOfUnequalNodes) {
  const auto on_node = [](const std::string& node) {
    return launch_of(with(with(slurm(), "SLURM_STEP_TASKS_PER_NODE", "3(x2),1"), "SLURM_NODEID", node))
        .local_size;
  };
  EXPECT_EQ(on_node("0"), 3);
  EXPECT_EQ(on_node("1"), 3);
  EXPECT_EQ(on_node("2"), 1);
}

TEST(Launch, NamesTheVariableThatIsWrong) {
  EXPECT_THAT(refusal(with(torchrun(), "RANK", "4")), HasSubstr("[RANK] is out of range; got 4"));
  EXPECT_THAT(refusal(with(torchrun(), "RANK", "first")), HasSubstr("[RANK]"));
  EXPECT_THAT(refusal(with(torchrun(), "WORLD_SIZE", "0")), HasSubstr("[WORLD_SIZE]"));
  EXPECT_THAT(refusal(with(torchrun(), "MASTER_PORT", "70000")), HasSubstr("[MASTER_PORT]"));
  EXPECT_THAT(refusal(with(torchrun(), "MASTER_PORT", "http")),
              HasSubstr("[MASTER_PORT] is out of range; got"));
  EXPECT_THAT(refusal(with(torchrun(), "MASTER_ADDR", "")), HasSubstr("[MASTER_ADDR] is not set"));
  EXPECT_THAT(refusal(with(torchrun(), "RANK", "")), HasSubstr("[RANK] is not set beside WORLD_SIZE"));
  EXPECT_THAT(refusal(with(slurm(), "SLURM_PROCID", "-1")), HasSubstr("[SLURM_PROCID]"));
  EXPECT_THAT(refusal(with(slurm(), "SLURM_PROCID", "")),
              HasSubstr("[SLURM_PROCID] is not set beside SLURM_STEP_NUM_TASKS"));
}

TEST(FirstHost, IsThatOfSlurmsList) {
  EXPECT_EQ(first_host("n[3-5,9],m1"), "n3");
  EXPECT_EQ(first_host("node[001-128]"), "node001");
  EXPECT_EQ(first_host("n[7]"), "n7");
  EXPECT_EQ(first_host("a1,b2"), "a1");
  EXPECT_EQ(first_host("gpu-a.example.org"), "gpu-a.example.org");
  EXPECT_EQ(first_host("rack[2-3]n[1,4]-ib"), "rack2n1-ib");
}

}  // namespace
}  // namespace ddro::dist
