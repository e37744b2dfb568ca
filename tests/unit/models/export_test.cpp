#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <optional>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/models/model_folder.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/models/tiny_model.h"

namespace ddro::models {
namespace {

using test::fs::path;

class ExportTest : public testing::Test {
 protected:
  void SetUp() override {
    tensors_ = test::tiny_tensors(config_);
    test::write_folder(source_, config_, tensors_);
    for (const char* name :
         {"tokenizer.json", "chat_template.jinja", "LICENSE", "README.md", "modeling_tiny.py"}) {
      test::write_file(source_ / name, std::string("content of ") + name);
    }
  }

  std::string error_of(const path& out, ErrorKind kind) {
    try {
      export_model_folder(source_, tensors_, {}, out);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "accepted";
  }

  std::vector<std::string> entries(const path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : test::fs::directory_iterator(folder))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  test::TemporaryFolder temporary_;
  path source_ = temporary_.path() / "source";
  path out_ = temporary_.path() / "out";
  path leftover_ = temporary_.path() / ".out.ddro-export";
  Json config_ = test::tiny_config();
  NamedTensors tensors_;
};

TEST_F(ExportTest, WritesAWholeFolder) {
  export_model_folder(source_, tensors_, {}, out_ / "");
  EXPECT_EQ(entries(out_), (std::vector<std::string>{"LICENSE", "chat_template.jinja", "config.json",
                                                     "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_file(out_ / "tokenizer.json"), "content of tokenizer.json");
  EXPECT_EQ(SafetensorsFile(out_ / "model.safetensors").metadata().at("format"), "pt");
  const ModelFolder written = open_model_folder(out_);
  EXPECT_EQ(written.weights_hash, open_model_folder(source_).weights_hash);
  EXPECT_EQ(written.config_json, config_);
}

TEST_F(ExportTest, ConvertsAndSaysSo) {
  config_["dtype"] = "float32";
  test::write_folder(source_, config_, tensors_);
  const std::tuple<ExportDType, const char*, at::ScalarType> cases[] = {
      {ExportDType::kFloat32, "float32", at::kFloat},
      {ExportDType::kBFloat16, "bfloat16", at::kBFloat16},
      {ExportDType::kFloat16, "float16", at::kHalf}};
  for (const auto& [dtype, name, type] : cases) {
    const path out = temporary_.path() / name;
    export_model_folder(source_, tensors_, {.dtype = dtype}, out);
    const ModelFolder written = open_model_folder(out);
    EXPECT_EQ(written.config_json["torch_dtype"], name);
    EXPECT_EQ(written.config_json["dtype"], name);
    EXPECT_EQ(written.config_json["a_key_of_tomorrow"], 7);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      EXPECT_TRUE(at::equal(written.tensors[i].second, tensors_[i].second.to(type)));
    }
  }
}

TEST_F(ExportTest, RefusesNumbersThatFloat16DoesNotHold) {
  auto& [name, tensor] = tensors_.back();
  tensor.view({-1})[3] = 65600;
  const auto convert = [&](ExportDType dtype) {
    export_model_folder(source_, tensors_, {.dtype = dtype}, out_);
  };
  EXPECT_THAT(test::message_of(ErrorKind::kModel, [&] { convert(ExportDType::kFloat16); }),
              testing::StartsWith("[export] " + name + " has numbers that float16 does not hold"));
  EXPECT_FALSE(test::fs::exists(out_) || test::fs::exists(leftover_));
  convert(ExportDType::kBFloat16);
}

TEST_F(ExportTest, WritesShardsWithAnIndex) {
  export_model_folder(source_, tensors_, {.max_shard_bytes = 1000}, out_);
  const Json index = read_json_file((out_ / "model.safetensors.index.json").string(), ErrorKind::kInput);
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors_) bytes += tensor.nbytes();
  EXPECT_EQ(index["metadata"]["total_size"], bytes);
  EXPECT_EQ(index["weight_map"].size(), tensors_.size());
  const std::string first = index["weight_map"]["model.embed_tokens.weight"];
  EXPECT_TRUE(first.starts_with("model-00001-of-0000")) << first;
  EXPECT_EQ(open_model_folder(out_).weights_hash, open_model_folder(source_).weights_hash);
}

TEST_F(ExportTest, HoldsNoMoreThanOneTensorThatItFetches) {
  int held = 0, most = 0;
  TensorSources sources = sources_of(tensors_);
  for (TensorSource& source : sources) {
    source.fetch = [&held, &most, tensor = source.fetch()] {
      most = std::max(most, ++held);
      return at::from_blob(
          tensor.data_ptr(), tensor.sizes(), [&held, tensor](void*) { --held; }, tensor.options());
    };
  }
  export_model_folder(source_, sources, {}, out_);
  EXPECT_EQ(most, 1);
  EXPECT_EQ(held, 0);
  EXPECT_EQ(open_model_folder(out_).weights_hash, open_model_folder(source_).weights_hash);
}

TEST_F(ExportTest, RefusesAnOutputInUse) {
  EXPECT_NE(error_of(source_, ErrorKind::kInput).find("exists and is not an empty folder"),
            std::string::npos);
  test::write_file(temporary_.path() / "file", "x");
  EXPECT_NE(error_of(temporary_.path() / "file", ErrorKind::kInput).find("exists"), std::string::npos);
  test::fs::create_directory_symlink(source_, temporary_.path() / "link");
  EXPECT_NE(error_of(temporary_.path() / "link", ErrorKind::kInput).find("exists"), std::string::npos);
  EXPECT_NE(error_of(temporary_.path() / "file" / "below", ErrorKind::kSave).find("cannot be created"),
            std::string::npos);
  test::fs::create_directories(out_);
  EXPECT_EQ(error_of(out_, ErrorKind::kInput), "accepted");
}

TEST_F(ExportTest, RefusesTensorsThatAreNotTheModels) {
  tensors_.pop_back();
  EXPECT_NE(error_of(out_, ErrorKind::kInput).find("[export] tensor lm_head.weight is missing"),
            std::string::npos);
  EXPECT_FALSE(test::fs::exists(out_) || test::fs::exists(leftover_));
}

TEST_F(ExportTest, LeavesNothingWhenItFails) {
  test::fs::create_symlink("/etc/passwd", source_ / "vocab.json");
  EXPECT_NE(error_of(out_, ErrorKind::kModel).find("vocab.json is a link that leaves"), std::string::npos);
  EXPECT_FALSE(test::fs::exists(out_) || test::fs::exists(leftover_));
}

class ExportKilled : public testing::TestWithParam<const char*> {};

// The killed process is this program started anew for the one test; it finds the folder in the environment.
TEST_P(ExportKilled, LeavesATemporaryFolderThatTheNextExportRemoves) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Json config = test::tiny_config();
  const NamedTensors tensors = test::tiny_tensors(config);
  std::optional<test::TemporaryFolder> temporary;
  if (std::getenv("DDRO_EXPORT_ROOT") == nullptr) {
    temporary.emplace();
    setenv("DDRO_EXPORT_ROOT", temporary->path().c_str(), 1);
    test::write_folder(temporary->path() / "source", config, tensors);
  }
  const path root = std::getenv("DDRO_EXPORT_ROOT");
  const auto run_export = [&] { export_model_folder(root / "source", tensors, {}, root / "out"); };
  const auto interrupted = [&] {
    setenv("DDRO_FAILPOINT", GetParam(), 1);
    run_export();
  };
  EXPECT_EXIT(interrupted(), testing::KilledBySignal(SIGKILL), "");
  unsetenv("DDRO_EXPORT_ROOT");
  EXPECT_FALSE(test::fs::exists(root / "out"));
  EXPECT_TRUE(test::fs::exists(root / ".out.ddro-export"));
  run_export();
  EXPECT_FALSE(test::fs::exists(root / ".out.ddro-export"));
  EXPECT_NO_THROW(open_model_folder(root / "out"));
}

INSTANTIATE_TEST_SUITE_P(Points, ExportKilled,
                         testing::Values("export_after_shard", "export_before_compare",
                                         "export_before_rename"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace ddro::models
