// Ranks on two machines, as far as the network is concerned, and what becomes of the link between them.
// DDRO_CUT_LINKS says how often it is cut, DDRO_SEED when.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ddro/base/hash.h"
#include "e2e/rank_runs.h"
#include "fault/campaign.h"
#include "fault/linked_namespaces.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using Link = LinkedNamespaces::Link;

constexpr const char* kNotAllowed = "network namespaces and tun devices cannot be made here";

// By rank: the side that it is on, ranks of a side one after the other; rank 0 is on side 0.
using Sides = std::vector<size_t>;
const Sides kOneEach{0, 1};

class LinkedRanks {
 public:
  LinkedRanks(const TinyRun& run, const TemporaryFolder& folder, const LinkedNamespaces& spaces,
              const Sides& sides) {
    for (size_t rank = 0; rank < sides.size(); ++rank) {
      const auto local_size = std::count(sides.begin(), sides.end(), sides[rank]);
      const auto local_rank =
          rank - static_cast<size_t>(std::find(sides.begin(), sides.end(), sides[rank]) - sides.begin());
      const std::vector<std::string> variables = {
          "WORLD_SIZE=" + std::to_string(sides.size()),     "RANK=" + std::to_string(rank),
          "LOCAL_WORLD_SIZE=" + std::to_string(local_size), "LOCAL_RANK=" + std::to_string(local_rank),
          "MASTER_ADDR=" + LinkedNamespaces::address(0),    "MASTER_PORT=29500"};
      const std::string log = (folder / ("rank_" + std::to_string(rank) + ".txt")).string();
      ranks_.push_back(spaces.on_side(
          sides[rank], [&] { return std::make_unique<BackgroundProgram>(run.arguments(), log, variables); }));
    }
  }
  BackgroundProgram& first() { return *ranks_.front(); }
  auto begin() const { return ranks_.begin(); }
  auto end() const { return ranks_.end(); }

 private:
  std::vector<std::unique_ptr<BackgroundProgram>> ranks_;
};

std::vector<std::string> settings(const std::string& shard) {
  std::vector<std::string> all = kSoon;
  all.push_back("distributed.shard=" + shard);
  return all;
}

struct Straight {
  Straight(const std::string& shard, size_t num_ranks) : run(folder.path(), settings(shard)) {
    if (run.run(ranks(static_cast<int>(num_ranks))) != 0)
      throw std::runtime_error("the undisturbed run failed: " + run.log_text());
  }
  TemporaryFolder folder;
  TinyRun run;
};

// That nothing disturbed, on the loopback; made once.
const TinyRun& straight_run(const std::string& shard, size_t num_ranks) {
  static std::map<std::pair<std::string, size_t>, Straight> straights;
  const auto [found, is_new] = straights.try_emplace({shard, num_ranks}, shard, num_ranks);
  return found->second.run;
}

void come_to_the_end(const TinyRun& run, const TemporaryFolder& folder, const LinkedNamespaces& spaces,
                     const Sides& sides, const TinyRun& straight) {
  for (const auto& rank : LinkedRanks(run, folder, spaces, sides))
    EXPECT_EQ(rank->wait(300).code, 0) << rank->output();
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
  const TinyRun& straight = straight_run(kUsualShard, kOneEach.size());
  const auto start = Clock::now();
  come_to_the_end(run, folder, spaces, kOneEach, straight);
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

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

struct CutScene {
  const char* name;
  const char* shard;
  Sides sides;
};

class CutNamespacesLink : public testing::TestWithParam<CutScene> {};

// At a step, or at any time from the start on. On each side some rank says why it ends: those of the other
// one cannot.
TEST_P(CutNamespacesLink, EndsAllRanksAndLosesNothing) {
  const CutScene& scene = GetParam();
  std::mt19937 random(static_cast<unsigned>(told("DDRO_SEED", 20261135)));
  const int cuts = told("DDRO_CUT_LINKS", 6);
  double slowest_s = 0;
  int resumed = 0;
  for (int cut = 0; cut < cuts; ++cut) {
    LinkedNamespaces spaces(Link{});
    if (!spaces.are_there()) GTEST_SKIP() << kNotAllowed;
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), settings(scene.shard));
    {
      LinkedRanks linked(run, folder, spaces, scene.sides);
      const int step = std::uniform_int_distribution(1, kTinySteps - 3)(random);
      const double delay_s = std::uniform_real_distribution<>(0, 1)(random);
      if (cut % 3 == 2) {
        linked.first().wait(delay_s);
      } else {
        ASSERT_TRUE(linked.first().wait_for_output("step " + std::to_string(step) + "/", 60))
            << linked.first().output();
      }
      spaces.cut();
      const auto begin = Clock::now();
      std::array<int, 2> lines{};  // on each side
      size_t at = 0;
      for (const auto& rank : linked) {
        EXPECT_EQ(rank->wait(60).code, 76) << rank->output();
        const int errors = count(rank->output(), "ddro-train: error: ");
        EXPECT_LE(errors, 1) << rank->output();
        EXPECT_EQ(errors, count(rank->output(), "[ranks] rank "));
        lines[scene.sides[at++]] += errors;
      }
      EXPECT_THAT(lines, ::testing::Each(::testing::Ge(1)));
      slowest_s = std::max(slowest_s, seconds_since(begin));
      EXPECT_LT(seconds_since(begin), kGoneWithin);
    }
    spaces.mend();
    ASSERT_NO_FATAL_FAILURE(
        come_to_the_end(run, folder, spaces, scene.sides, straight_run(scene.shard, scene.sides.size())));
    resumed += read_file(folder / "rank_0.txt").find("resuming from ") != std::string::npos;
  }
  std::printf("links: %d cut, %d runs resumed, the slowest end after %.1f s\n", cuts, resumed, slowest_s);
}

INSTANTIATE_TEST_SUITE_P(Each, CutNamespacesLink,
                         testing::Values(CutScene{"optimizer", kUsualShard, kOneEach},
                                         CutScene{"full", "full", kOneEach},
                                         CutScene{"of_two_and_one", kUsualShard, {0, 0, 1}},
                                         CutScene{"of_one_and_two", kUsualShard, {0, 1, 1}}),
                         [](const testing::TestParamInfo<CutScene>& entry) {
                           return std::string(entry.param.name);
                         });

}  // namespace
}  // namespace ddro::test
