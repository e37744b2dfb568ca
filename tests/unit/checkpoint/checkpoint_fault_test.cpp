// Damage, kills and full disks: a checkpoint is whole or is not one.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <sched.h>

#include <csignal>
#include <cstdlib>

#include "ddro/base/files.h"
#include "ddro/base/random.h"
#include "ddro/checkpoint/checkpoint.h"
#include "support/expect_error.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"
#include "unit/checkpoint/write_sample.h"

namespace ddro::checkpoint {
namespace {

using ddro::test::ended_well;
using ddro::test::in_child;
using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ddro::test::was_killed;
using ::testing::HasSubstr;

constexpr const char* kFiles[] = {"manifest.json", "model.safetensors", "optimizer.safetensors",
                                  "state.json"};

TEST(CheckpointDamage, EveryFlippedBitIsFound) {
  const TemporaryFolder folder;
  const auto path = write_sample(folder.path(), 3);
  for (const char* name : kFiles) {
    const std::string whole = read_file(path / name);
    for (std::uint64_t round = 0; round < 200; ++round) {
      std::string damaged = whole;
      const std::uint64_t bit = random_bits(round, 0, 0) % (8 * whole.size());
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      folder.write("step_000003/" + std::string(name), damaged);
      EXPECT_THAT(message_of(ErrorKind::kModel, [&] { open_checkpoint(path); }), HasSubstr(name))
          << "bit " << bit;
    }
    folder.write("step_000003/" + std::string(name), whole);
  }
  EXPECT_EQ(open_checkpoint(path).step, 3);
}

TEST(CheckpointDamage, EveryTruncationIsFound) {
  const TemporaryFolder folder;
  const auto path = write_sample(folder.path(), 3);
  for (const char* name : kFiles) {
    const std::string whole = read_file(path / name);
    for (std::uint64_t round = 0; round < 20; ++round) {
      folder.write("step_000003/" + std::string(name),
                   whole.substr(0, random_bits(round, 1, 0) % whole.size()));
      EXPECT_THAT(message_of(ErrorKind::kModel, [&] { open_checkpoint(path); }), HasSubstr(name));
    }
    folder.write("step_000003/" + std::string(name), whole + "\n");
    EXPECT_THAT(message_of(ErrorKind::kModel, [&] { open_checkpoint(path); }), HasSubstr(name));
    folder.write("step_000003/" + std::string(name), whole);
  }
}

TEST(CheckpointDamage, ForeignFilesAreRefused) {
  const TemporaryFolder folder;
  const auto refusal = [&](std::int64_t step) {
    return message_of(ErrorKind::kModel,
                      [&] { open_checkpoint(folder.path() / ("step_00000" + std::to_string(step))); });
  };
  for (const std::int64_t step : {1, 2, 3, 4, 5, 6}) write_sample(folder.path(), step);
  const auto at = [&](int step, const char* name) {
    return folder.path() / ("step_00000" + std::to_string(step)) / name;
  };
  std::filesystem::remove(at(1, "optimizer.safetensors"));
  EXPECT_THAT(refusal(1), HasSubstr("optimizer.safetensors] is missing"));
  folder.write("step_000002/extra.bin", "x");
  EXPECT_THAT(refusal(2), HasSubstr("extra.bin] is not in the manifest"));
  std::filesystem::copy(at(4, "model.safetensors"), at(3, "model.safetensors"),
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(3), HasSubstr("model.safetensors] is damaged"));
  std::filesystem::copy(at(5, "manifest.json"), at(4, "manifest.json"),
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(4), HasSubstr("is of another checkpoint; got step 5, expected 4"));
  std::filesystem::remove(at(5, "state.json"));
  std::filesystem::create_symlink(at(6, "state.json"), at(5, "state.json"));
  EXPECT_THAT(refusal(5), HasSubstr("state.json] is not a regular file"));
}

struct Failpoint {
  const char* name;
  int visits;     // in one write of the sample and one rotation
  bool complete;  // the new checkpoint is there already
};

class FailpointTest : public ::testing::TestWithParam<Failpoint> {};

TEST_P(FailpointTest, LosesNothingThatWasComplete) {
  const Failpoint point = GetParam();
  for (int visit = 1; visit <= point.visits; ++visit) {
    const TemporaryFolder folder;
    for (const std::int64_t step : {1, 2, 3}) write_sample(folder.path(), step);
    const int status = in_child([&] {
      setenv("DDRO_FAILPOINT", (std::string(point.name) + ":" + std::to_string(visit)).c_str(), 1);
      write_sample(folder.path(), 4);
      rotate_checkpoints(folder.path(), 2);
    });
    ASSERT_TRUE(was_killed(status)) << point.name << " was not reached " << visit << " times";
    EXPECT_EQ(newest_checkpoint(folder.path())->step, point.complete ? 4 : 3);
    EXPECT_EQ(open_checkpoint(folder.path() / "step_000003").step, 3);
    write_sample(folder.path(), 4);
    rotate_checkpoints(folder.path(), 2);
    EXPECT_EQ(newest_checkpoint(folder.path())->step, 4);
    size_t left = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++left;
    EXPECT_EQ(left, 2u) << point.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FailpointTest,
                         ::testing::Values(Failpoint{"checkpoint.folder", 1, false},
                                           Failpoint{"checkpoint.file", 3, false},
                                           Failpoint{"checkpoint.before_manifest", 1, false},
                                           Failpoint{"checkpoint.after_manifest", 1, false},
                                           Failpoint{"checkpoint.before_rename", 1, false},
                                           Failpoint{"checkpoint.after_rename", 1, true},
                                           Failpoint{"checkpoint.rotate_renamed", 2, true},
                                           Failpoint{"checkpoint.rotate_removed", 2, true}));

// Writing fails with Error(kSave) that names the file; the older checkpoint stays, nothing else does.
void expect_failed_save(const std::filesystem::path& folder, const std::string& reason) {
  const std::string message = message_of(ErrorKind::kSave, [&] {
    CheckpointWriter writer(folder, 2);
    writer.add_tensors("model.safetensors", sources_of({{"w", at::zeros({1 << 20})}}));
    writer.commit(Json::object());
  });
  if (message.find(reason) == std::string::npos || message.find("step_000002.tmp") == std::string::npos) {
    throw std::runtime_error("another message: " + message);
  }
  if (std::filesystem::exists(folder / "step_000002.tmp") ||
      std::filesystem::exists(folder / "step_000002")) {
    throw std::runtime_error("something is left behind");
  }
  if (newest_checkpoint(folder)->step != 1) throw std::runtime_error("the older checkpoint is gone");
}

TEST(CheckpointDisk, FileSizeLimitIsReported) {
  const TemporaryFolder folder;
  write_sample(folder.path(), 1);
  EXPECT_TRUE(ended_well(in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    expect_failed_save(folder.path(), "model.safetensors] cannot be written: File too large");
  })));
}

// A small disk of the child's own; false where mounting is not allowed.
bool mount_small_disk(const std::filesystem::path& at, const char* options) {
  return unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", at.c_str(), "tmpfs", 0, options) == 0;
}

bool can_mount() {
  const TemporaryFolder folder;
  return ended_well(in_child([&] {
    if (!mount_small_disk(folder.path(), "size=1m")) _exit(1);
  }));
}

TEST(CheckpointDisk, FullDiskIsReportedWithItsNumbers) {
  if (!can_mount()) GTEST_SKIP() << "mounting a small disk is not allowed here";
  const TemporaryFolder folder;
  EXPECT_TRUE(ended_well(in_child([&] {
    if (!mount_small_disk(folder.path(), "size=2m")) _exit(1);
    write_sample(folder.path(), 1);
    expect_failed_save(folder.path(), "not enough space on the disk; 4194304 bytes needed, ");
    // Without the look ahead, as when another program fills the disk meanwhile.
    const std::string message = message_of(ErrorKind::kSave, [&] {
      CheckpointWriter writer(folder.path(), 3);
      writer.add_text("text", std::string(4 << 20, 'x'));
    });
    if (message.find("No space left on device") == std::string::npos ||
        message.find(" free") == std::string::npos) {
      throw std::runtime_error(message);
    }
  })));
}

TEST(CheckpointDisk, ReadOnlyDiskIsReported) {
  if (!can_mount()) GTEST_SKIP() << "mounting a small disk is not allowed here";
  const TemporaryFolder folder;
  EXPECT_TRUE(ended_well(in_child([&] {
    if (!mount_small_disk(folder.path(), "size=2m")) _exit(1);
    write_sample(folder.path(), 1);
    if (mount(nullptr, folder.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) _exit(1);
    expect_failed_save(folder.path(), "cannot be created: Read-only file system");
  })));
}

}  // namespace
}  // namespace ddro::checkpoint
