// Ranks that cannot come together, and strangers among them.
#include <gmock/gmock.h>

#include "log_lines.h"
#include "rank_runs.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Whoever knows why a run ends says so in one line.
void expect_one_line(const std::string& output, const std::string& prefix = "") {
  EXPECT_THAT(lines_beside_log(output), ElementsAre(StartsWith("ddro-train: error: " + prefix)));
}

// Connects to a port of the loopback, once something listens there, says something and stays.
class Stranger {
 public:
  Stranger(int port, const std::string& bytes) {
    const sockaddr_in address = loopback(port);
    for (int i = 0; i < 1000 && !connected_; ++i) {
      socket_ = socket(AF_INET, SOCK_STREAM, 0);
      connected_ = connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      if (connected_) break;
      close(socket_);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    said_ = connected_ &&
            send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  ~Stranger() { close(socket_); }
  bool said() const { return said_; }

 private:
  int socket_ = -1;
  bool connected_ = false;
  bool said_ = false;
};

// A run of two ranks that something else has started, each with its own options.
struct TwoRanks {
  TwoRanks(const TinyRun& run, const std::filesystem::path& folder, const std::vector<std::string>& options,
           int port = free_port())
      : first(run.arguments(), (folder / "first.txt").string(), started(0, port)),
        second(run.arguments(options), (folder / "second.txt").string(), started(1, port)) {}
  BackgroundProgram first, second;
};

TEST(BadRanks, WithAnotherConfigurationEndAllAndTheKeyIsNamed) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  TwoRanks two(run, folder.path(), {"--set", "optimizer.learning_rate=1.0e-4"});
  EXPECT_EQ(two.first.wait(60).code, 2) << two.first.output();
  EXPECT_EQ(two.second.wait(60).code, 2) << two.second.output();
  EXPECT_THAT(
      two.first.output() + two.second.output(),
      AllOf(HasSubstr("[optimizer.learning_rate] is not the same on all ranks"), HasSubstr("on rank 1")));
  expect_one_line(two.first.output() + two.second.output());
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
}

// By their prompts, not by the file's name.
TEST(BadRanks, WithOtherPromptsEndAll) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), sampling());
  const std::string pairs = read_file(fixture("tiny_run/pairs_eval.jsonl"));
  const std::string same = folder.write("same.jsonl", pairs).string();
  const std::string other = folder.write("other.jsonl", pairs.substr(pairs.find('\n') + 1)).string();
  {
    TwoRanks two(run, folder.path(), {"--set", "eval.prompts='" + other + "'"});
    EXPECT_EQ(two.first.wait(60).code, 2) << two.first.output();
    EXPECT_EQ(two.second.wait(60).code, 2) << two.second.output();
    EXPECT_THAT(
        two.first.output() + two.second.output(),
        AllOf(HasSubstr("[eval.prompts] is not the same on all ranks; got "), HasSubstr("on rank 1")));
    expect_one_line(two.first.output() + two.second.output());
    EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
  }
  TwoRanks two(run, folder.path(), {"--set", "eval.prompts='" + same + "'"});
  EXPECT_EQ(two.first.wait(60).code, 0) << two.first.output();
  EXPECT_EQ(two.second.wait(60).code, 0) << two.second.output();
}

TEST(BadRanks, EndTheOthersWithTheirOwnCode) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  TwoRanks two(run, folder.path(), {"--set", "data.max_length=3"});
  EXPECT_EQ(two.second.wait(60).code, 2) << two.second.output();
  EXPECT_EQ(two.first.wait(kGoneWithin).code, 2) << two.first.output();
  expect_one_line(two.second.output(), "rank 1: ");
  EXPECT_THAT(lines_beside_log(two.first.output()), IsEmpty());
}

TEST(BadRanks, ThatDoNotKnowOfTheOthersDoNotTrainAlone) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  EXPECT_EQ(run.run({}, {"RANK=1"}), 2);
  EXPECT_EQ(run.log_text(),
            "ddro-train: error: [WORLD_SIZE] is not set beside RANK; got RANK 1, a rank of several, expected "
            "all variables of torchrun or srun, or none; to train alone unset RANK\n");
  EXPECT_EQ(run.run({"--dry-run"}, {"RANK=0"}), 0);
  EXPECT_THAT(run.log_text(),
              HasSubstr("warning [RANK] has no effect: without WORLD_SIZE this process trains alone\n"));
  EXPECT_EQ(run.run(ranks(2, {"--dry-run"}), {"SLURM_JOB_ID=13", "SLURM_NTASKS=2"}), 0);
  EXPECT_THAT(run.log_text(), Not(HasSubstr("SLURM_NTASKS"))) << "--nproc starts them";
}

TEST(BadRanks, FindAPortThatIsInUse) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const TakenPort taken;
  EXPECT_EQ(run.run({}, started(0, taken.port())), 2);
  EXPECT_THAT(run.log_text(),
              AllOf(HasSubstr("127.0.0.1:" + std::to_string(taken.port())), HasSubstr("in use")));
  expect_one_line(run.log_text());
}

TEST(BadRanks, WaitForTheFirstNoLongerThanTheTimeOut) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const auto start = Clock::now();
  EXPECT_EQ(run.run({}, started(1, free_port())), 76);
  EXPECT_LT(seconds_since(start), kGoneWithin);
  EXPECT_THAT(run.log_text(), HasSubstr("rank 0 does not answer at 127.0.0.1:"));
  expect_one_line(run.log_text(), "rank 1: ");
}

TEST(BadRanks, WithoutAPlaceToMeetSayWhoNamesIt) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  std::vector<std::string> variables = started(1, free_port());
  std::erase(variables, "MASTER_ADDR=127.0.0.1");
  variables.emplace_back("MASTER_ADDR=no..host");
  EXPECT_EQ(run.run({}, variables), 2);
  EXPECT_THAT(run.log_text(), AllOf(HasSubstr("[ranks] the address no..host cannot be found"),
                                    HasSubstr("MASTER_ADDR names the machine of rank 0")));
}

// A host name that stands for 127.0.1.1 on its own machine, as this short form of the address does.
TEST(BadRanks, DoNotMeetWhereOtherMachinesCannotCome) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  std::vector<std::string> variables = started(0, free_port());
  std::erase(variables, "MASTER_ADDR=127.0.0.1");
  std::erase(variables, "LOCAL_WORLD_SIZE=2");
  variables.insert(variables.end(), {"MASTER_ADDR=127.0.257", "LOCAL_WORLD_SIZE=1"});
  EXPECT_EQ(run.run({}, variables), 2);
  EXPECT_THAT(
      run.log_text(),
      HasSubstr("[MASTER_ADDR] is an address that ranks on other machines do not reach; got 127.0.257, "
                "which is 127.0.1.1 here, and 1 of 2 ranks on this machine; expected"));
}

TEST(BadRanks, FindSomethingElseInThePlaceOfTheFirst) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const TakenPort taken;
  const auto start = Clock::now();
  EXPECT_EQ(run.run({}, started(1, taken.port())), 76);
  EXPECT_LT(seconds_since(start), 10 + kGoneWithin);
  EXPECT_THAT(run.log_text(), HasSubstr("what listens at 127.0.0.1:" + std::to_string(taken.port()) +
                                        " is not rank 0 of a run"));
  expect_one_line(run.log_text(), "rank 1: ");
}

TEST(BadRanks, ThatDoNotComeAreNamed) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const auto start = Clock::now();
  EXPECT_EQ(run.run({}, started(0, free_port())), 76);
  EXPECT_LT(seconds_since(start), kGoneWithin);
  EXPECT_THAT(run.log_text(), HasSubstr("rank 1 is lost: it has not come within 10 s"));
  expect_one_line(run.log_text());
}

// Of another number of ranks, or of the same place: refused, and the run goes on without them.
TEST(BadRanks, OfAnotherRunAreRefused) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.num_train_epochs=400"});  // lasts until it is told to stop
  const int port = free_port();
  BackgroundProgram first(run.arguments(), (folder / "first.txt").string(), started(0, port));
  EXPECT_EQ(run.run({}, started(2, port, 4)), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("has 2 ranks, this process is one of 4"));
  expect_one_line(run.log_text(), "rank 2: ");
  BackgroundProgram second(run.arguments(), (folder / "second.txt").string(), started(1, port));
  ASSERT_TRUE(first.wait_for_output("step 1/", 60)) << first.output();
  EXPECT_EQ(run.run({}, started(1, port)), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("another process is rank 1 of the run that meets at"));
  expect_one_line(run.log_text(), "rank 1: ");
  first.send(SIGTERM);
  EXPECT_EQ(first.wait(60).code, 75) << first.output();
  EXPECT_EQ(second.wait(60).code, 75) << second.output();
}

// One of another number of ranks that was there before rank 0 changes nothing.
TEST(BadRanks, OfAnotherRunMayComeFirst) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const int port = free_port();
  BackgroundProgram stranger(run.arguments(), (folder / "stranger.txt").string(), started(2, port, 4));
  EXPECT_TRUE(stranger.wait(1).timed_out) << stranger.output();
  TwoRanks two(run, folder.path(), {}, port);
  EXPECT_EQ(two.first.wait(60).code, 0) << two.first.output();
  EXPECT_EQ(two.second.wait(60).code, 0) << two.second.output();
  EXPECT_EQ(stranger.wait(60).code, 2) << stranger.output();
  EXPECT_THAT(stranger.output(), HasSubstr("has 2 ranks, this process is one of 4"));
}

// A store as torchrun's agent serves it: it outlives the ranks of an attempt, with what they have left in it.
class AgentStore {
 public:
  explicit AgentStore(const std::filesystem::path& folder)
      : port_(free_port()),
        agent_({source_path(".venv/bin/python").string(), "-c",
                "import sys, time, torch.distributed as d\n"
                "store = d.TCPStore('127.0.0.1', int(sys.argv[1]), is_master=True, wait_for_workers=False)\n"
                "print('serving', file=sys.stderr, flush=True)\n"
                "time.sleep(600)",
                std::to_string(port_)},
               (folder / "agent.txt").string()) {
    if (!agent_.wait_for_output("serving", 60)) throw std::runtime_error("no store: " + agent_.output());
  }

  // Variables of a rank of the agent's attempt.
  std::vector<std::string> started(int rank, int attempt) const {
    std::vector<std::string> variables = test::started(rank, port_);
    variables.emplace_back("TORCHELASTIC_USE_AGENT_STORE=True");
    variables.push_back("TORCHELASTIC_RESTART_COUNT=" + std::to_string(attempt));
    return variables;
  }

 private:
  int port_;
  BackgroundProgram agent_;
};

TEST(StaleStore, IsLeftToItsOwnAttempt) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const AgentStore store(folder.path());
  const auto file = [&](const char* name) { return (folder / name).string(); };
  {
    BackgroundProgram first(run.arguments(), file("first.txt"), store.started(0, 0));
    BackgroundProgram second(run.arguments(), file("second.txt"), store.started(1, 0));
    ASSERT_TRUE(first.wait_for_output("saved ", 60)) << first.output();
    second.send(SIGKILL);
    EXPECT_EQ(first.wait(60).code, 76) << first.output();
  }
  EXPECT_EQ(run.run({}, store.started(0, 0)), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("another process is rank 0 of the run that meets at"));
  expect_one_line(run.log_text());
  BackgroundProgram first(run.arguments(), file("first.txt"), store.started(0, 1));
  BackgroundProgram second(run.arguments(), file("second.txt"), store.started(1, 1));
  EXPECT_EQ(first.wait(60).code, 0) << first.output();
  EXPECT_EQ(second.wait(60).code, 0) << second.output();
  EXPECT_THAT(first.output(), HasSubstr("resuming from "));
}

TEST(Strangers, AtThePortOfARunDoNotDisturbIt) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  const int port = free_port();
  BackgroundProgram first(run.arguments(), (folder / "first.txt").string(), started(0, port));
  const Stranger silent(port, "");
  const Stranger browser(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const Stranger zeros(port, std::string(1 << 16, '\0'));
  const Stranger large(port, std::string(1 << 16, '\xff'));
  for (const Stranger* stranger : {&silent, &browser, &zeros, &large}) EXPECT_TRUE(stranger->said());
  BackgroundProgram second(run.arguments(), (folder / "second.txt").string(), started(1, port));
  EXPECT_EQ(first.wait(60).code, 0) << first.output();
  EXPECT_EQ(second.wait(60).code, 0) << second.output();
  EXPECT_THAT(lines_beside_log(first.output() + second.output()), IsEmpty());
}

TEST(Nproc, RefusesWhatCannotBeStarted) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  for (const char* count : {"0", "two", "100000", ""}) {
    EXPECT_EQ(run.run({"--nproc", count}), 2);
    EXPECT_THAT(run.log_text(), HasSubstr("[--nproc] is out of range; got " + std::string(count)));
  }
  EXPECT_EQ(run.run({"--nproc", "2"}, started(0, 29500)), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("[--nproc] starts ranks by itself"));
  EXPECT_EQ(run.run(ranks(2, {"--set", "distributed.backend=none"})), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("[distributed.backend] none is for one process"));
  EXPECT_EQ(run.run(ranks(2, {"--set", "distributed.backend=nccl"})), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("[distributed.backend] nccl needs a CUDA device in every rank"));
  EXPECT_EQ(run.run(ranks(2, {"--set", "optimizer.optim=adafactor"})), 2);
  EXPECT_THAT(run.log_text(),
              HasSubstr("[distributed.shard] optimizer gives each rank a part of every tensor, "
                        "but adafactor updates whole ones; write distributed.shard: none"));
  EXPECT_EQ(run.run(ranks(2, {"--set", "optimizer.learning_rat=1"})), 2);
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
}

}  // namespace
}  // namespace ddro::test
