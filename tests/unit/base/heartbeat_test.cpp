#include "ddro/base/heartbeat.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <functional>

#include "ddro/base/files.h"
#include "ddro/base/json.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::TemporaryFolder;

constexpr std::chrono::milliseconds kOften{5};

// Within seconds, or not at all.
bool becomes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(kOften);
  return condition();
}

TEST(Activity, IsThatOfTheInnermostDoing) {
  const auto& now = own_activity();
  EXPECT_EQ(now, Activity::kPreparing);
  {
    const Doing save(Activity::kSave);
    {
      const Doing disk(Activity::kDisk);
      EXPECT_EQ(now, Activity::kDisk);
    }
    EXPECT_EQ(now, Activity::kSave);
    std::thread([] { EXPECT_EQ(own_activity(), Activity::kPreparing); }).join();
  }
  EXPECT_EQ(now, Activity::kPreparing);
}

TEST(Heartbeat, TellsWhatItsThreadIsAtUntilItEnds) {
  const TemporaryFolder folder;
  const auto path = folder / "heartbeat.json";
  {
    Heartbeat heartbeat(path, kOften);
    ASSERT_TRUE(becomes_true([&] { return read_beat(path).has_value(); }));
    const Beat first = *read_beat(path);
    EXPECT_EQ(first.process, getpid());
    EXPECT_EQ(first.host, host_name());
    EXPECT_EQ(first.phase, Activity::kPreparing);
    EXPECT_EQ(first.step, 0);
    EXPECT_NEAR(first.time, static_cast<double>(std::time(nullptr)), 60);
    const Doing evaluation(Activity::kEvaluation);
    heartbeat.set_step(7);
    EXPECT_TRUE(becomes_true([&] {
      const auto beat = read_beat(path);
      return beat && beat->step == 7 && beat->phase == Activity::kEvaluation && beat->time > first.time;
    }));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Heartbeat, ThatCannotBeWrittenIsLeftOut) {
  const TemporaryFolder folder;
  const auto path = folder / "later/heartbeat.json";
  const Heartbeat heartbeat(path, kOften);
  EXPECT_EQ(read_beat(path), std::nullopt);
  std::filesystem::create_directory(folder / "later");
  EXPECT_TRUE(becomes_true([&] { return read_beat(path).has_value(); }));
}

TEST(ReadBeat, GivesNothingForWhatIsNoHeartbeat) {
  const TemporaryFolder folder;
  const std::string whole = R"({"process":1,"host":"a","phase":"save","step":3,"time":2.5})";
  ASSERT_TRUE(read_beat(folder.write("whole", whole)).has_value());
  for (const std::string& text :
       {std::string(), whole.substr(0, 30), std::string("[1]"),
        std::string(R"({"process":1,"host":"a","phase":"dance","step":3,"time":2})"),
        std::string(R"({"process":1,"host":"a","phase":"save","time":2})"),
        std::string(R"({"process":"x","host":"a","phase":"save","step":3,"time":2})"),
        whole + std::string(10000, ' ')})
    EXPECT_EQ(read_beat(folder.write("f", text)), std::nullopt) << text.substr(0, 80);
  EXPECT_EQ(read_beat(folder / "absent"), std::nullopt);
  EXPECT_EQ(read_beat(folder.path()), std::nullopt);
}

}  // namespace
}  // namespace ddro
