// What a written folder holds beside its weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "ddro/models/model_folder.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/models/tiny_model.h"

namespace ddro::models {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InferenceFilesTest : public testing::Test {
 protected:
  void SetUp() override { write("config.json", config_); }

  void write(const std::string& name, const Json& json) { folder_.write(name, json.dump()); }

  std::vector<std::string> names(const ExportOptions& options = {}) {
    std::vector<std::string> result;
    for (const FolderFile& file : inference_files(folder_.path(), tensors_, options))
      result.push_back(file.name);
    return result;
  }

  std::string content(const std::string& name, const ExportOptions& options = {}) {
    for (const FolderFile& file : inference_files(folder_.path(), tensors_, options)) {
      if (file.name == name) return file.content;
    }
    return "absent";
  }

  Json json(const std::string& name, const ExportOptions& options = {}) {
    return parse_json(content(name, options), name, ErrorKind::kModel);
  }

  test::TemporaryFolder folder_;
  Json config_ = test::tiny_config();
  NamedTensors tensors_ = {{"w", at::zeros({2})}};
  const ExportOptions with_template_{.chat_template = "trained with"};
  const ExportOptions with_end_{.eos_token = EndToken{"<|im_end|>", {9, 2, 5}}};
};

TEST_F(InferenceFilesTest, AreAllButWeightsRunStateCodeAndModelCards) {
  for (const char* name :
       {"tokenizer.json", "tekken.json", "qwen.tiktoken", "spiece.model", "LICENSE", "vocab.of.tomorrow",
        "additional_chat_templates/rag.jinja", "additional_chat_templates/tool_use.jinja"}) {
    folder_.write(name, "kept");
  }
  for (const char* name : {"model.safetensors",
                           "model.safetensors.index.json",
                           "pytorch_model-00001-of-00002.bin",
                           "consolidated.00.pth",
                           "model.Q4_K_M.gguf",
                           "tf_model.h5",
                           "flax_model.msgpack",
                           "README.md",
                           ".gitattributes",
                           ".cache/x",
                           "modeling_tiny.py",
                           "trainer.json",
                           "manifest.json",
                           "optimizer.safetensors",
                           "trainer_state.json",
                           "training_args.bin",
                           "rng_state_0.pth",
                           "adapter_config.json",
                           "checkpoint-5/config.json",
                           "checkpoint-5/tokenizer.json",
                           "onnx/model.onnx",
                           "onnx/quantize.txt",
                           "logs/deep/er.txt",
                           "pictures/a.txt"}) {
    folder_.write(name, "left out");
  }
  folder_.write("pictures/a.png", "\x89PNG\xff");
  EXPECT_THAT(names(), ElementsAre("LICENSE", "additional_chat_templates/rag.jinja",
                                   "additional_chat_templates/tool_use.jinja", "config.json", "qwen.tiktoken",
                                   "spiece.model", "tekken.json", "tokenizer.json", "vocab.of.tomorrow"));
  EXPECT_EQ(content("additional_chat_templates/rag.jinja"), "kept");
}

TEST_F(InferenceFilesTest, LinksStayInTheFolderOrInTheHubsCache) {
  const auto snapshot = folder_.path() / "models--a--b" / "snapshots" / "0";
  folder_.write("models--a--b/blobs/1", config_.dump());
  folder_.write("models--a--b/blobs/2", "a template");
  std::filesystem::create_directories(snapshot / "additional_chat_templates");
  std::filesystem::create_symlink("../../blobs/1", snapshot / "config.json");
  std::filesystem::create_symlink("../../../blobs/2", snapshot / "additional_chat_templates" / "x.jinja");
  const auto files = inference_files(snapshot, tensors_, {});
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].content, "a template");

  const auto refusal = [&] {
    return test::message_of(ErrorKind::kModel, [&] { inference_files(folder_.path(), tensors_, {}); });
  };
  std::filesystem::create_directories(folder_ / "extra");
  std::filesystem::create_symlink("/etc/passwd", folder_ / "extra/vocab.txt");
  EXPECT_THAT(refusal(), HasSubstr("vocab.txt is a link that leaves the folder"));
  std::filesystem::remove_all(folder_ / "extra");
  std::filesystem::create_directory_symlink("/etc", folder_ / "extra");
  EXPECT_THAT(names(), ElementsAre("config.json"));
  std::filesystem::create_symlink("/etc/passwd", folder_ / "vocab.txt");
  EXPECT_THAT(refusal(), HasSubstr("vocab.txt is a link that leaves the folder"));
}

TEST_F(InferenceFilesTest, ConfigSaysTheTypeOfTheWeights) {
  EXPECT_EQ(json("config.json"), config_);
  config_["torch_dtype"] = "bfloat16";
  write("config.json", config_);
  EXPECT_EQ(json("config.json")["torch_dtype"], "float32");
  EXPECT_FALSE(json("config.json").contains("dtype"));
  EXPECT_EQ(json("config.json", {.dtype = ExportDType::kFloat16})["torch_dtype"], "float16");
  config_.erase("torch_dtype");
  config_["dtype"] = "float16";
  write("config.json", config_);
  tensors_[0].second = at::zeros({2}, at::kDouble);
  EXPECT_EQ(json("config.json")["torch_dtype"], "float64");
  EXPECT_EQ(json("config.json")["dtype"], "float64");
  EXPECT_EQ(json("config.json")["a_key_of_tomorrow"], 7);
}

TEST_F(InferenceFilesTest, FilesThatNothingChangesKeepTheirBytes) {
  const std::string spaced = "{ \"eos_token\":\"</s>\",  \"x\": 1.0 }";
  folder_.write("tokenizer_config.json", spaced);
  EXPECT_EQ(content("tokenizer_config.json"), spaced);
  EXPECT_EQ(content("tokenizer_config.json", with_template_), spaced);
  folder_.write("tokenizer_config.json", R"({"auto_map": {"AutoTokenizer": ["tokenization.T", null]}})");
  EXPECT_EQ(json("tokenizer_config.json"), Json::object());
}

TEST_F(InferenceFilesTest, AGivenTemplateIsTheOnlyOne) {
  folder_.write("chat_template.jinja", "old");
  folder_.write("additional_chat_templates/tool_use.jinja", "old");
  write("chat_template.json", {{"chat_template", "old"}});
  write("processor_config.json", {{"chat_template", "old"}, {"kept", 1}});
  for (const Json& old : {Json("old"), Json::array({{{"name", "default"}, {"template", "old"}}})}) {
    write("tokenizer_config.json", {{"chat_template", old}, {"kept", 1}});
    for (const FolderFile& file : inference_files(folder_.path(), tensors_, with_template_))
      EXPECT_THAT(file.content, testing::Not(HasSubstr("old"))) << file.name;
    EXPECT_EQ(content("chat_template.jinja", with_template_), "trained with");
    EXPECT_EQ(json("tokenizer_config.json", with_template_),
              (Json{{"chat_template", "trained with"}, {"kept", 1}}));
    EXPECT_EQ(json("chat_template.json", with_template_)["chat_template"], "trained with");
    EXPECT_EQ(content("additional_chat_templates/tool_use.jinja", with_template_), "absent");
  }
  EXPECT_EQ(content("chat_template.jinja"), "old");
}

TEST_F(InferenceFilesTest, AGivenTemplateIsWrittenWhereThereWasNone) {
  EXPECT_THAT(names(with_template_), ElementsAre("config.json", "chat_template.jinja"));
}

TEST_F(InferenceFilesTest, AGivenEndTokenIsSaidEverywhere) {
  config_["eos_token_id"] = 2;
  write("config.json", config_);
  write("generation_config.json", {{"eos_token_id", {2, 9, 5}}, {"top_p", 0.8}});
  write("tokenizer_config.json", {{"eos_token", {{"__type", "AddedToken"}, {"content", "</s>"}}}});
  write("special_tokens_map.json", {{"eos_token", "</s>"}, {"bos_token", "<s>"}});
  EXPECT_EQ(json("config.json", with_end_)["eos_token_id"], 9);
  EXPECT_EQ(json("generation_config.json", with_end_), (Json{{"eos_token_id", {9, 2, 5}}, {"top_p", 0.8}}));
  EXPECT_EQ(json("tokenizer_config.json", with_end_), (Json{{"eos_token", "<|im_end|>"}}));
  EXPECT_EQ(json("special_tokens_map.json", with_end_),
            (Json{{"eos_token", "<|im_end|>"}, {"bos_token", "<s>"}}));
}

TEST_F(InferenceFilesTest, WithoutAGenerationConfigTheConfigHasAllEndTokens) {
  config_["eos_token_id"] = 2;
  write("config.json", config_);
  EXPECT_EQ(json("config.json", with_end_)["eos_token_id"], Json({9, 2, 5}));
}

TEST_F(InferenceFilesTest, OneEndTokenIsANumber) {
  write("generation_config.json", {{"eos_token_id", {2, 9}}});
  const ExportOptions only{.eos_token = EndToken{"<|im_end|>", {9}}};
  EXPECT_EQ(json("generation_config.json", only), (Json{{"eos_token_id", 9}}));
}

TEST_F(InferenceFilesTest, AGivenEndTokenReachesATokenizerWithoutAConfiguration) {
  EXPECT_EQ(json("tokenizer_config.json", with_end_), (Json{{"eos_token", "<|im_end|>"}}));
  EXPECT_EQ(content("generation_config.json", with_end_), "absent");
}

TEST_F(InferenceFilesTest, RefusesWhatItCannotChange) {
  const auto refusal = [&] {
    return test::message_of(ErrorKind::kModel, [&] { inference_files(folder_.path(), tensors_, {}); });
  };
  folder_.write("generation_config.json", "[1]");
  EXPECT_THAT(refusal(), HasSubstr("generation_config.json] is not a JSON object"));
  folder_.write("generation_config.json", "{");
  EXPECT_THAT(refusal(), HasSubstr("generation_config.json"));
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_THAT(refusal(), HasSubstr("config.json is missing"));
}

TEST_F(InferenceFilesTest, LeavesOutDataAndRefusesTooMuch) {
  const std::uint64_t limit = std::uint64_t{1} << 27;
  folder_.write("rows.jsonl", "");
  std::filesystem::resize_file(folder_ / "rows.jsonl", limit + 1);
  EXPECT_THAT(names(), ElementsAre("config.json"));
  for (const char* name : {"1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl"}) {
    folder_.write(name, "");
    std::filesystem::resize_file(folder_ / name, limit);
  }
  EXPECT_THAT(test::message_of(ErrorKind::kModel, [&] { names(); }), HasSubstr("more than 512 MiB"));
}

}  // namespace
}  // namespace ddro::models
