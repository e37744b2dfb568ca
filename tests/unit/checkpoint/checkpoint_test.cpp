#include "ddro/checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "checkpoint/manifest.h"
#include "ddro/base/files.h"
#include "ddro/base/interruption.h"
#include "ddro/checkpoint/checkpoint_options.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/checkpoint/write_sample.h"

namespace ddro::checkpoint {

NamedTensors sample_tensors(std::int64_t step) {
  const auto seed = static_cast<double>(step);
  return {{"weight", at::arange(0, 33, at::kFloat) + seed},
          {"half", at::arange(0, 31, at::kFloat).to(at::kBFloat16)},
          {"count", at::tensor({step}, at::kLong)}};
}

std::filesystem::path write_sample(const std::filesystem::path& folder, std::int64_t step) {
  CheckpointWriter writer(folder, step);
  writer.add_tensors("model.safetensors", sources_of(sample_tensors(step)));
  writer.add_tensors("optimizer.safetensors",
                     sources_of({{"m", at::zeros({4, 4})}, {"v", at::ones({4, 4})}}));
  writer.add_text("state.json", "{\"step\": " + std::to_string(step) + "}\n");
  return writer.commit({{"alpha", 0.39}, {"note", "caf\u00e9"}});
}

namespace {

using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string refusal(const std::filesystem::path& path) {
  return message_of(ErrorKind::kModel, [&] { open_checkpoint(path); });
}

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = write_sample(folder.path() / "run" / "checkpoints", 100);
  EXPECT_EQ(path.filename(), "step_000100");
  EXPECT_THAT(names_in(path),
              ElementsAre("manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"));
  for (const auto& given : {path, path / ""}) {
    const Checkpoint checkpoint = open_checkpoint(given);
    EXPECT_EQ(checkpoint.path, path);
    EXPECT_EQ(checkpoint.step, 100);
    EXPECT_EQ(checkpoint.manifest.at("alpha"), 0.39);
    EXPECT_EQ(checkpoint.manifest.at("note"), "caf\u00e9");
  }
  const SafetensorsFile file(path / "model.safetensors");
  for (const auto& [name, tensor] : sample_tensors(100)) {
    EXPECT_TRUE(at::equal(tensor_from_view(file.tensors().at(name), file.mapping()), tensor)) << name;
  }
  EXPECT_EQ(read_file(path / "state.json"), "{\"step\": 100}\n");
}

TEST(Checkpoint, FollowsTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = umask(027);
  const auto path = write_sample(folder.path(), 1);
  umask(before);
  struct stat info {};
  ASSERT_EQ(stat((path / "model.safetensors").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0750u);
}

TEST(Checkpoint, WithoutCommitLeavesNothing) {
  const TemporaryFolder folder;
  {
    CheckpointWriter writer(folder.path(), 5);
    writer.add_text("a.txt", "x");
    EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000005.tmp"));
  }
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(Checkpoint, ReplacesOneOfTheSameStep) {
  const TemporaryFolder folder;
  folder.write("step_000007/model.safetensors", "damaged");
  folder.write("step_000007.tmp/left.over", "of a killed writer");
  const auto path = write_sample(folder.path(), 7);
  EXPECT_EQ(open_checkpoint(path).step, 7);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000007"));
}

TEST(Manifest, NamesFoldersByStep) {
  EXPECT_EQ(step_folder_name(1), "step_000001");
  EXPECT_EQ(step_folder_name(12345678), "step_12345678");
  EXPECT_EQ(step_of_folder_name("step_000100"), 100);
  EXPECT_EQ(step_of_folder_name("step_12345678"), 12345678);
  for (const char* name : {"step_100", "step_000100.tmp", "step_00010a", "step_-00001", "stepx000100",
                           "step_99999999999999999999", ""}) {
    EXPECT_FALSE(step_of_folder_name(name).has_value()) << name;
  }
}

TEST(Checkpoint, HoldsTextsInFolders) {
  const TemporaryFolder folder;
  CheckpointWriter writer(folder.path(), 1);
  writer.add_text("config.json", "{}");
  writer.add_text("templates/a.jinja", "a");
  writer.add_text("templates/b.jinja", "b");
  const auto path = writer.commit(Json::object());
  EXPECT_EQ(open_checkpoint(path).manifest.at("files").size(), 3u);
  EXPECT_EQ(read_file(path / "templates" / "b.jinja"), "b");
  folder.write("step_000001/templates/c.jinja", "c");
  EXPECT_THAT(refusal(path), HasSubstr("templates/c.jinja] is not in the manifest"));
  std::filesystem::remove(path / "templates" / "c.jinja");
  folder.write("step_000001/templates/b.jinja", "c");
  EXPECT_THAT(refusal(path), HasSubstr("templates/b.jinja] is damaged"));
  std::filesystem::remove(path / "templates" / "b.jinja");
  EXPECT_THAT(refusal(path), HasSubstr("templates/b.jinja] is missing"));
}

TEST(Checkpoint, FollowsNoLinkedFolder) {
  const TemporaryFolder folder;
  CheckpointWriter writer(folder.path(), 1);
  writer.add_text("templates/a.jinja", "a");
  const auto path = writer.commit(Json::object());
  std::filesystem::rename(path / "templates", folder / "elsewhere");
  std::filesystem::create_directory_symlink(folder / "elsewhere", path / "templates");
  EXPECT_THAT(refusal(path), HasSubstr("templates] is not in the manifest"));
}

TEST(Manifest, RefusesForeignContent) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "step_000001";
  const auto with_manifest = [&](const std::string& text) {
    folder.write("step_000001/manifest.json", text);
    return refusal(path);
  };
  EXPECT_THAT(refusal(path), HasSubstr("does not exist"));
  EXPECT_THAT(refusal(folder.write("file", "x")), HasSubstr("is not a folder"));
  std::filesystem::create_directory(path);
  EXPECT_THAT(refusal(path), HasSubstr("manifest.json] cannot be opened"));
  EXPECT_THAT(with_manifest(""), HasSubstr("manifest.json"));
  EXPECT_THAT(with_manifest("[]"), HasSubstr("not the manifest of a checkpoint"));
  EXPECT_THAT(with_manifest("{}"), HasSubstr("not the manifest of a checkpoint"));
  EXPECT_THAT(with_manifest("{\"schema_version\": 2}"),
              HasSubstr("schema_version is not known; got 2, expected 1"));
  EXPECT_THAT(with_manifest("{\"schema_version\": 1}"), HasSubstr("is damaged"));
  const Json entry = {{"bytes", 1u}, {"xxh3_128", ""}};
  EXPECT_THAT(with_manifest(manifest_text(1, {{"../x", entry}}, Json::object())),
              HasSubstr("a wrong entry for ../x"));
  for (const char* name : {"/x", "x/", "a/../x", "../a/x", "a/b/x"}) {
    EXPECT_THAT(with_manifest(manifest_text(1, {{name, entry}}, Json::object())), HasSubstr("a wrong entry"));
  }
  EXPECT_THAT(with_manifest(manifest_text(1, {{"manifest.json", entry}}, Json::object())),
              HasSubstr("a wrong entry"));
  EXPECT_THAT(with_manifest(manifest_text(1, {{"a", {{"bytes", -1}, {"xxh3_128", ""}}}}, Json::object())),
              HasSubstr("a wrong entry for a"));
  EXPECT_THAT(with_manifest(manifest_text(2, Json::object(), Json::object())),
              HasSubstr("is of another checkpoint; got step 2, expected 1"));
  EXPECT_THAT(message_of(ErrorKind::kInternal,
                         [] {
                           manifest_text(1, {}, {{"complete", true}});
                         }),
              HasSubstr("complete"));
}

TEST(NewestCheckpoint, FallsBackToTheNewestThatVerifies) {
  const TemporaryFolder folder;
  EXPECT_FALSE(newest_checkpoint(folder.path() / "absent").has_value());
  EXPECT_FALSE(newest_checkpoint(folder.path()).has_value());
  for (const std::int64_t step : {5, 10, 1000000}) write_sample(folder.path(), step);
  folder.write("step_2000000.tmp/model.safetensors", "unfinished");
  EXPECT_EQ(newest_checkpoint(folder.path())->step, 1000000);

  folder.write("step_1000000/state.json", "{\"step\": 9999999}\n");
  std::filesystem::create_directory(folder.path() / "step_000011");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(newest_checkpoint(folder.path())->step, 10);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("step_1000000/state.json] is damaged"));
  EXPECT_THAT(log, HasSubstr("step_000011/manifest.json] cannot be opened"));

  std::filesystem::remove(folder.path() / "step_000010" / "manifest.json");
  std::filesystem::remove(folder.path() / "step_000005" / "state.json");
  EXPECT_THAT(message_of(ErrorKind::kModel, [&] { newest_checkpoint(folder.path()); }),
              HasSubstr("none of its 4 checkpoints can be used; the newest: "));
}

TEST(NewestCheckpoint, IsNotAnOlderOneWhereAStartIsInterrupted) {
  const TemporaryFolder folder;
  for (const std::int64_t step : {5, 10}) write_sample(folder.path(), step);
  int asked = 0;
  const Interruptible early([&] { return ++asked == 2; });
  EXPECT_THROW(newest_checkpoint(folder.path()), Interrupted);
  EXPECT_EQ(asked, 2);
}

TEST(RotateCheckpoints, KeepsTheNewest) {
  const TemporaryFolder folder;
  for (const std::int64_t step : {10, 20, 30, 40}) write_sample(folder.path(), step);
  folder.write("step_000050.tmp/x", "");
  folder.write(".trash_step_000005/x", "");
  folder.write("notes.tmp", "the user's own");
  rotate_checkpoints(folder.path(), 2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("notes.tmp", "step_000030", "step_000040"));
  rotate_checkpoints(folder.path(), 2);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("notes.tmp", "step_000030", "step_000040"));
  rotate_checkpoints(folder.path() / "absent", 2);
}

TEST(RotateCheckpoints, RemovesNothingWhenTheNewestIsDamaged) {
  const TemporaryFolder folder;
  for (const std::int64_t step : {10, 20, 30}) write_sample(folder.path(), step);
  folder.write("step_000030/state.json", "x");
  ::testing::internal::CaptureStderr();
  rotate_checkpoints(folder.path(), 1);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("no older checkpoint is removed"));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000010", "step_000020", "step_000030"));
}

TEST(CheckpointOptions, ChecksRanges) {
  EXPECT_NO_THROW(CheckpointOptions{}.validate());
  EXPECT_THAT(message_of(ErrorKind::kInput, [] { CheckpointOptions{.save_steps = 0}.validate(); }),
              HasSubstr("[checkpoint.save_steps]"));
}

}  // namespace
}  // namespace ddro::checkpoint
