#include "ddro/models/model_folder.h"

#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "ddro/base/interruption.h"
#include "ddro/models/causal_lm.h"
#include "support/temporary_folder.h"
#include "unit/models/tiny_model.h"

namespace ddro::models {
namespace {

using test::fs::path;

std::string error_of(const std::function<void()>& action, ErrorKind kind = ErrorKind::kModel) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "accepted";
}

void write_shards(const path& folder, const Json& config, const NamedTensors& tensors, size_t first_count) {
  test::fs::create_directories(folder);
  test::write_file(folder / "config.json", config.dump());
  const auto middle = tensors.begin() + static_cast<std::ptrdiff_t>(first_count);
  std::filesystem::remove(folder / "a.safetensors");
  std::filesystem::remove(folder / "b.safetensors");
  write_tensors(folder / "a.safetensors", NamedTensors(tensors.begin(), middle), {});
  write_tensors(folder / "b.safetensors", NamedTensors(middle, tensors.end()), {});
  Json map = Json::object();
  for (size_t i = 0; i < tensors.size(); ++i)
    map[tensors[i].first] = i < first_count ? "a.safetensors" : "b.safetensors";
  test::write_file(folder / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
}

Tensor& find(NamedTensors& tensors, const std::string& name) {
  for (auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
  }
  throw std::runtime_error(name);
}

class ModelFolderTest : public testing::Test {
 protected:
  void SetUp() override { tensors_ = test::tiny_tensors(config_); }
  std::string refused() {
    return error_of([&] { open_model_folder(folder_); });
  }
  void expect_refused(const std::string& part) {
    const std::string message = refused();
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  // An index whose entry for the first tensor is `file`.
  void write_index_entry(const Json& file) {
    write_shards(folder_, config_, tensors_, 3);
    Json index = read_json_file((folder_ / "model.safetensors.index.json").string(), ErrorKind::kInput);
    index["weight_map"][tensors_[0].first] = file;
    test::write_file(folder_ / "model.safetensors.index.json", index.dump());
  }

  test::TemporaryFolder temporary_;
  path folder_ = temporary_.path() / "model";
  Json config_ = test::tiny_config();
  NamedTensors tensors_;
};

TEST_F(ModelFolderTest, IsLeftBetweenTensors) {
  test::write_folder(folder_, config_, tensors_);
  int asked = 0;
  const auto wanted_at = [&](int last) { return [&asked, last] { return ++asked == last; }; };
  {
    const Interruptible early(wanted_at(static_cast<int>(tensors_.size())));
    EXPECT_THROW(open_model_folder(folder_), Interrupted);
  }
  const ModelFolder folder = open_model_folder(folder_);
  asked = 0;
  const Interruptible early(wanted_at(static_cast<int>(tensors_.size())));
  EXPECT_THROW(make_causal_lm(folder.spec, folder.tensors, {}), Interrupted);
}

TEST_F(ModelFolderTest, ReadsWhatWasWritten) {
  test::write_folder(folder_, config_, NamedTensors(tensors_.rbegin(), tensors_.rend()));
  const ModelFolder folder = open_model_folder(folder_);
  ASSERT_EQ(folder.tensors.size(), tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    EXPECT_EQ(folder.tensors[i].first, tensors_[i].first);
    EXPECT_TRUE(at::equal(folder.tensors[i].second, tensors_[i].second));
  }
  EXPECT_EQ(folder.config_json["a_key_of_tomorrow"], 7);
}

TEST_F(ModelFolderTest, HashDependsOnWeightsAlone) {
  test::write_folder(folder_, config_, tensors_);
  const std::string hash = open_model_folder(folder_).weights_hash;
  EXPECT_EQ(hash.size(), 32u);
  for (const size_t cut : {size_t{1}, size_t{5}}) {
    const path sharded = temporary_.path() / ("sharded" + std::to_string(cut));
    write_shards(sharded, config_, tensors_, cut);
    EXPECT_EQ(open_model_folder(sharded).weights_hash, hash);
  }
  tensors_[4].second.flatten()[0].add_(1);
  test::write_folder(folder_, config_, tensors_);
  EXPECT_NE(open_model_folder(folder_).weights_hash, hash);
  tensors_[4].second.flatten()[0].sub_(1);
  tensors_[4].second = tensors_[4].second.to(at::kDouble);
  test::write_folder(folder_, config_, tensors_);
  EXPECT_NE(open_model_folder(folder_).weights_hash, hash);
}

TEST_F(ModelFolderTest, AcceptsEveryFloatDtypeAndIgnoresRotaryFrequencies) {
  for (const auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    NamedTensors other;
    for (const auto& [name, tensor] : tensors_) other.emplace_back(name, tensor.to(dtype));
    other.emplace_back("model.layers.0.self_attn.rotary_emb.inv_freq", at::ones(2));
    test::write_folder(folder_, config_, other);
    EXPECT_EQ(open_model_folder(folder_).tensors.size(), tensors_.size());
  }
}

TEST_F(ModelFolderTest, LeavesOutHeadsOfOtherTasksAndTables) {
  NamedTensors more = tensors_;
  for (const char* name : {"v_head.summary.weight", "v_head.summary.bias", "score.weight",
                           "model.layers.0.attn.bias", "model.layers.0.attention.masked_bias"})
    more.emplace_back(name, at::ones({1, 8}));
  test::write_folder(folder_, config_, more);
  EXPECT_EQ(open_model_folder(folder_).tensors.size(), tensors_.size());
  more.emplace_back("adapter.weight", at::ones({1, 8}));
  test::write_folder(folder_, config_, more);
  expect_refused("tensor adapter.weight is not a parameter of this llama configuration");
}

TEST_F(ModelFolderTest, NamesMayLackTheirFirstPart) {
  NamedTensors trunk = tensors_;
  for (auto& [name, tensor] : trunk) {
    if (name.starts_with("model.")) name.erase(0, 6);
  }
  test::write_folder(folder_, config_, trunk);
  const ModelFolder folder = open_model_folder(folder_);
  ASSERT_EQ(folder.tensors.size(), trunk.size());
  for (size_t i = 0; i < trunk.size(); ++i) EXPECT_EQ(folder.tensors[i].first, trunk[i].first);
  const path out = temporary_.path() / "out";
  export_model_folder(folder_, folder.tensors, {}, out);
  EXPECT_EQ(open_model_folder(out).weights_hash, folder.weights_hash);
  trunk[3].first = "model." + trunk[3].first;
  test::write_folder(folder_, config_, trunk);
  expect_refused("tensor " + tensors_[3].first.substr(6) + " is missing");
}

TEST_F(ModelFolderTest, TiedHeadMayBeStoredIfEqual) {
  config_["tie_word_embeddings"] = true;
  NamedTensors tied = test::tiny_tensors(config_);
  test::write_folder(folder_, config_, tied);
  const std::string hash = open_model_folder(folder_).weights_hash;
  tied.emplace_back("lm_head.weight", tied[0].second.clone());
  test::write_folder(folder_, config_, tied);
  EXPECT_EQ(open_model_folder(folder_).weights_hash, hash);
  tied.back().second[0][0] += 1;
  test::write_folder(folder_, config_, tied);
  expect_refused("tensor lm_head.weight differs from model.embed_tokens.weight, but config.json ties them");
}

TEST_F(ModelFolderTest, RefusesTensorsThatDoNotFit) {
  NamedTensors changed = tensors_;
  changed.pop_back();
  test::write_folder(folder_, config_, changed);
  expect_refused("tensor lm_head.weight is missing; config.json calls for it with shape [11, 8]");

  changed = tensors_;
  changed.emplace_back("model.layers.2.mlp.up_proj.weight", at::ones({12, 8}));
  test::write_folder(folder_, config_, changed);
  expect_refused("tensor model.layers.2.mlp.up_proj.weight is not a parameter of this llama configuration");

  changed = tensors_;
  find(changed, "model.layers.1.self_attn.k_proj.weight") = at::ones({8, 4});
  test::write_folder(folder_, config_, changed);
  expect_refused(
      "tensor model.layers.1.self_attn.k_proj.weight has the wrong shape; got [8, 4], expected [4, 8]");

  changed = tensors_;
  find(changed, "model.norm.weight") = at::ones({8}, at::kInt);
  test::write_folder(folder_, config_, changed);
  expect_refused("tensor model.norm.weight is not a float tensor; got Int");

  config_["vocab_size"] = 12;
  test::write_folder(folder_, config_, tensors_);
  expect_refused("tensor model.embed_tokens.weight has the wrong shape; got [11, 8], expected [12, 8]");
}

TEST_F(ModelFolderTest, RefusesFoldersWithoutWhatIsNeeded) {
  expect_refused("there is no such folder");
  test::fs::create_directories(folder_);
  expect_refused("config.json is missing");
  test::write_file(folder_ / "config.json", "{");
  expect_refused("not valid JSON");
  test::write_file(folder_ / "config.json", config_.dump());
  expect_refused("has neither model.safetensors nor model.safetensors.index.json");
  test::write_file(folder_ / "pytorch_model.bin", "x");
  expect_refused("holds pickle weights only (pytorch_model.bin)");
  expect_refused("save_pretrained(NEW, safe_serialization=True)");
  test::fs::create_directories(folder_ / "model.safetensors");
  expect_refused("model.safetensors is not a file");
}

TEST_F(ModelFolderTest, RefusesIndexFilesThatLeaveTheFolderOrLie) {
  test::fs::create_directories(temporary_.path() / "outside");
  for (const std::string& name :
       std::vector<std::string>{"../outside/x.safetensors", "/etc/passwd", "..", ".", "", "sub/x.safetensors",
                                "a\\b", std::string("a\0b", 3), std::string(4096, 'x')}) {
    write_index_entry(name);
    expect_refused("is not a plain name inside the folder");
  }
  write_index_entry(3);
  expect_refused("weight_map names no file for model.embed_tokens.weight");
  write_index_entry("c.safetensors");
  expect_refused("its shard c.safetensors is missing");
  write_index_entry("b.safetensors");
  expect_refused("tensor model.embed_tokens.weight is");
  write_shards(folder_, config_, tensors_, 3);
  test::write_file(folder_ / "model.safetensors.index.json", R"({"weight_map": []})");
  expect_refused("weight_map is missing or not an object");
}

TEST_F(ModelFolderTest, RefusesATensorInTwoShards) {
  write_shards(folder_, config_, tensors_, 3);
  test::fs::remove(folder_ / "b.safetensors");
  write_tensors(folder_ / "b.safetensors", NamedTensors(tensors_.begin() + 2, tensors_.end()), {});
  expect_refused("b.safetensors] tensor " + tensors_[2].first + " is not listed for this file");
}

TEST_F(ModelFolderTest, FollowsLinksOnlyWithinTheFolderOrTheCache) {
  const path outside = temporary_.path() / "outside";
  test::write_folder(outside, config_, tensors_);
  test::write_folder(folder_, config_, tensors_);
  test::fs::remove(folder_ / "model.safetensors");
  test::fs::create_symlink(outside / "model.safetensors", folder_ / "model.safetensors");
  expect_refused("model.safetensors is a link that leaves the folder");
  test::fs::remove(folder_ / "model.safetensors");
  test::fs::create_symlink("nowhere", folder_ / "model.safetensors");
  expect_refused("cannot be read");
  test::fs::remove(folder_ / "model.safetensors");
  test::fs::copy_file(outside / "model.safetensors", folder_ / "weights");
  test::fs::create_symlink("weights", folder_ / "model.safetensors");
  EXPECT_NO_THROW(open_model_folder(folder_));
}

class ModelCacheTest : public ModelFolderTest {
 protected:
  void SetUp() override {
    ModelFolderTest::SetUp();
    setenv("HF_HUB_CACHE", temporary_.path().c_str(), 1);
  }
  void TearDown() override { unsetenv("HF_HUB_CACHE"); }

  path repository() const { return temporary_.path() / "models--org--name"; }
  void make_repository(const std::string& revision) {
    const path snapshot = repository() / "snapshots" / "0123abc";
    test::fs::create_directories(repository() / "refs");
    test::write_file(repository() / "refs" / "main", revision);
    test::write_folder(repository() / "blobs", config_, tensors_);
    test::fs::create_directories(snapshot);
    for (const char* name : {"config.json", "model.safetensors"}) {
      test::fs::create_symlink(path("../../blobs") / name, snapshot / name);
    }
  }
};

TEST_F(ModelCacheTest, FindsASnapshotWhoseFilesAreLinksToBlobs) {
  make_repository("0123abc\n");
  const path found = resolve_model_path("org/name");
  EXPECT_EQ(found, repository() / "snapshots" / "0123abc");
  EXPECT_EQ(open_model_folder(found).tensors.size(), tensors_.size());
  EXPECT_EQ(resolve_model_path(found.string()), found);
}

TEST_F(ModelCacheTest, SaysWhatIsMissing) {
  const auto message = [](const std::string& name) { return error_of([&] { resolve_model_path(name); }); };
  EXPECT_NE(message("org/other").find("download it with: hf download org/other"), std::string::npos);
  EXPECT_NE(message("/no/such/folder").find("there is no such folder"), std::string::npos);
  EXPECT_NE(message("../x").find("there is no such folder"), std::string::npos);
  EXPECT_NE(message("").find("there is no such folder"), std::string::npos);
  test::write_file(temporary_.path() / "file", "x");
  EXPECT_NE(message((temporary_.path() / "file").string()).find("is a file"), std::string::npos);
  make_repository("../../../outside");
  EXPECT_NE(message("org/name").find("is not a commit hash"), std::string::npos);
  test::write_file(repository() / "refs" / "main", "ffff");
  EXPECT_NE(message("org/name").find("its snapshot is missing"), std::string::npos);
}

}  // namespace
}  // namespace ddro::models
