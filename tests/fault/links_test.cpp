// Two ranks on two machines, as far as the network is concerned, and what becomes of the link between them.
// DDRO_CUT_LINKS says how often it is cut, DDRO_SEED when.
#include <gmock/gmock.h>

#include <cstdio>
#include <map>
#include <memory>
#include <random>

#include "ddro/base/hash.h"
#include "e2e/rank_runs.h"
#include "fault/campaign.h"
#include "fault/linked_namespaces.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::HasSubstr;
using Link = LinkedNamespaces::Link;

constexpr const char* kNotAllowed = "network namespaces and tun devices cannot be made here";

// One of the two; rank 0 is on side 0.
class LinkedRank {
 public:
  LinkedRank(const TinyRun& run, const TemporaryFolder& folder, const LinkedNamespaces& spaces, size_t rank)
      : program_(spaces.on_side(rank, [&] {
          return std::make_unique<BackgroundProgram>(
              run.arguments(), (folder / ("rank_" + std::to_string(rank) + ".txt")).string(),
              std::vector<std::string>{"WORLD_SIZE=2", "RANK=" + std::to_string(rank), "LOCAL_WORLD_SIZE=1",
                                       "LOCAL_RANK=0", "MASTER_ADDR=" + LinkedNamespaces::address(0),
                                       "MASTER_PORT=29500"});
        })) {}
  BackgroundProgram* operator->() const { return program_.get(); }

 private:
  std::unique_ptr<BackgroundProgram> program_;
};

struct LinkedRanks {
  LinkedRanks(const TinyRun& run, const TemporaryFolder& folder, const LinkedNamespaces& spaces)
      : first(run, folder, spaces, 0), second(run, folder, spaces, 1) {}
  LinkedRank first, second;
};

std::vector<std::string> settings(const std::string& shard) {
  std::vector<std::string> all = kSoon;
  all.push_back("distributed.shard=" + shard);
  return all;
}

struct Straight {
  explicit Straight(const std::string& shard) : run(folder.path(), settings(shard)) {
    if (run.run(ranks(2)) != 0) throw std::runtime_error("the undisturbed run failed: " + run.log_text());
  }
  TemporaryFolder folder;
  TinyRun run;
};

// That nothing disturbed, on the loopback; made once.
const TinyRun& straight_run(const std::string& shard) {
  static std::map<std::string, Straight> straights;
  return straights.try_emplace(shard, shard).first->second.run;
}

void come_to_the_end(const TinyRun& run, const TemporaryFolder& folder, const LinkedNamespaces& spaces,
                     const TinyRun& straight) {
  const LinkedRanks two(run, folder, spaces);
  EXPECT_EQ(two.first->wait(300).code, 0) << two.first->output();
  EXPECT_EQ(two.second->wait(60).code, 0) << two.second->output();
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
}

constexpr const char* kUsualShard = "optimizer";

class NamespacesLink : public testing::TestWithParam<std::pair<const char*, Link>> {};

TEST_P(NamespacesLink, ChangesNothing) {
  const Link link = GetParam().second;
  const LinkedNamespaces spaces(link);
  if (!spaces.are_there()) GTEST_SKIP() << kNotAllowed;
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), settings(kUsualShard));
  const TinyRun& straight = straight_run(kUsualShard);
  const auto start = Clock::now();
  come_to_the_end(run, folder, spaces, straight);
  EXPECT_GT(spaces.passed_on(), 0);
  EXPECT_EQ(spaces.lost() > 0, link.loss > 0);
  std::printf("link: %ld packets passed on, %ld lost, %.1f s\n", spaces.passed_on(), spaces.lost(),
              seconds_since(start));
}

using std::chrono::milliseconds;

INSTANTIATE_TEST_SUITE_P(Each, NamespacesLink,
                         testing::Values(std::pair{"Plain", Link{}},
                                         std::pair{"Delayed", Link{milliseconds(10), 0}},
                                         std::pair{"Lossy", Link{milliseconds(0), 0.02}},
                                         std::pair{"DelayedAndLossy", Link{milliseconds(5), 0.05}}),
                         [](const testing::TestParamInfo<std::pair<const char*, Link>>& entry) {
                           return entry.param.first;
                         });

int num_errors(const std::string& output) {
  int errors = 0;
  for (size_t at = 0; (at = output.find("ddro-train: error: ", at)) != std::string::npos; ++at) ++errors;
  return errors;
}

class CutNamespacesLink : public testing::TestWithParam<const char*> {};

// At a step, or at any time from the start on. Each rank says why it ends: nobody can tell the other.
TEST_P(CutNamespacesLink, EndsBothRanksAndLosesNothing) {
  std::mt19937 random(static_cast<unsigned>(told("DDRO_SEED", 20261135)));
  const int cuts = told("DDRO_CUT_LINKS", 6);
  double slowest_s = 0;
  int resumed = 0;
  for (int cut = 0; cut < cuts; ++cut) {
    LinkedNamespaces spaces(Link{});
    if (!spaces.are_there()) GTEST_SKIP() << kNotAllowed;
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), settings(GetParam()));
    {
      const LinkedRanks two(run, folder, spaces);
      const int step = std::uniform_int_distribution(1, kTinySteps - 3)(random);
      const double delay_s = std::uniform_real_distribution<>(0, 1)(random);
      if (cut % 3 == 2) {
        two.first->wait(delay_s);
      } else {
        ASSERT_TRUE(two.first->wait_for_output("step " + std::to_string(step) + "/", 60))
            << two.first->output();
      }
      spaces.cut();
      const auto begin = Clock::now();
      for (const LinkedRank* rank : {&two.first, &two.second}) {
        EXPECT_EQ((*rank)->wait(60).code, 76) << (*rank)->output();
        EXPECT_THAT((*rank)->output(), HasSubstr("[ranks] rank "));
        EXPECT_EQ(num_errors((*rank)->output()), 1) << (*rank)->output();
      }
      slowest_s = std::max(slowest_s, seconds_since(begin));
      EXPECT_LT(seconds_since(begin), kGoneWithin);
    }
    spaces.mend();
    ASSERT_NO_FATAL_FAILURE(come_to_the_end(run, folder, spaces, straight_run(GetParam())));
    resumed += read_file(folder / "rank_0.txt").find("resuming from ") != std::string::npos;
  }
  std::printf("links: %d cut, %d runs resumed, the slowest end after %.1f s\n", cuts, resumed, slowest_s);
}

INSTANTIATE_TEST_SUITE_P(Shards, CutNamespacesLink, testing::Values(kUsualShard, "full"),
                         [](const testing::TestParamInfo<const char*>& entry) {
                           return std::string(entry.param);
                         });

}  // namespace
}  // namespace ddro::test
