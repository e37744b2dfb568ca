// New adapters, and PEFT folders that do not fit.
#include "ddro/models/adapter.h"

#include <gmock/gmock.h>

#include <cmath>

#include "ddro/base/files.h"
#include "ddro/models/model_folder.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "tiny_model.h"

namespace ddro::models {
namespace {

using test::tiny_config;
using test::tiny_tensors;
using testing::HasSubstr;
namespace fs = std::filesystem;

ModelSpec tiny() { return parse_model_config(tiny_config(), "tiny"); }

Adapter new_adapter(AdapterType type, std::uint64_t seed = 42, at::ScalarType dtype = at::kFloat) {
  AdapterOptions options;
  options.adapter_type = type;
  options.r = 4;
  return make_adapter(options, tiny(), tiny_tensors(tiny_config()), "base", seed, dtype);
}

Tensor tensor_of(const Adapter& adapter, const std::string& ending) {
  for (const auto& [name, tensor] : adapter.tensors) {
    if (name.ends_with(ending)) return tensor;
  }
  throw std::runtime_error("no tensor " + ending);
}

TEST(NewAdapters, StartFromUniformAAndZeroB) {
  const Adapter adapter = new_adapter(AdapterType::kLora);
  double sum = 0, squares = 0, count = 0;
  for (const auto& [name, tensor] : adapter.tensors) {
    if (name.ends_with("lora_B.weight")) {
      EXPECT_EQ(tensor.abs().max().item<double>(), 0) << name;
      continue;
    }
    const double bound = 1 / std::sqrt(static_cast<double>(tensor.size(1)));
    EXPECT_LE(tensor.abs().max().item<double>(), bound) << name;
    sum += (tensor / bound).sum(at::kDouble).item<double>();
    squares += (tensor / bound).square().sum(at::kDouble).item<double>();
    count += static_cast<double>(tensor.numel());
  }
  EXPECT_NEAR(sum / count, 0, 4 / std::sqrt(3 * count));  // of a uniform number in [-1, 1]
  EXPECT_NEAR(squares / count, 1.0 / 3, 4 * std::sqrt(4 / (45 * count)));
}

TEST(NewAdapters, DependOnTheSeedAlone) {
  const auto a = [](const Adapter& adapter) { return tensor_of(adapter, "q_proj.lora_A.weight"); };
  const Adapter first = new_adapter(AdapterType::kLora);
  EXPECT_TRUE(at::equal(a(first), a(new_adapter(AdapterType::kLora))));
  EXPECT_FALSE(at::equal(a(first), a(new_adapter(AdapterType::kLora, 43))));
  EXPECT_FALSE(at::equal(a(first), tensor_of(first, "o_proj.lora_A.weight")));
  EXPECT_EQ(first.hash, new_adapter(AdapterType::kLora).hash);
  EXPECT_NE(first.hash, new_adapter(AdapterType::kLora, 43).hash);
}

TEST(NewAdapters, HaveTheWeightsNormsAsMagnitudes) {
  const Tensor got =
      tensor_of(new_adapter(AdapterType::kDora, 42, at::kDouble), "q_proj.lora_magnitude_vector");
  for (const auto& [name, weight] : tiny_tensors(tiny_config())) {
    if (!name.ends_with("layers.0.self_attn.q_proj.weight")) continue;
    for (std::int64_t row = 0; row < weight.size(0); ++row) {
      double sum = 0;
      for (std::int64_t i = 0; i < weight.size(1); ++i) sum += std::pow(weight[row][i].item<double>(), 2);
      EXPECT_NEAR(got[row].item<double>(), std::sqrt(sum), 1e-12);
    }
    return;
  }
  FAIL() << "no such weight";
}

class AdapterFolders : public testing::Test {
 protected:
  void SetUp() override {
    test::write_folder(base_, tiny_config(), tiny_tensors(tiny_config()));
    const ModelFolder base = open_model_folder(base_);
    adapter_ = new_adapter(AdapterType::kDora);
    adapter_.config["base_model_name_or_path"] = base_.string();
    export_adapter_folder(base, adapter_, adapter_.tensors, {}, folder_);
  }

  // adapter_model.safetensors written anew, by default without a word about the base.
  void write(const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    fs::remove(folder_ / "adapter_model.safetensors");
    write_tensors(folder_ / "adapter_model.safetensors", tensors, metadata);
  }

  void change_config(const std::function<void(Json&)>& change) {
    Json config = adapter_.config;
    change(config);
    test::write_file(folder_ / "adapter_config.json", config.dump());
  }

  std::string refusal() {
    return test::message_of(ErrorKind::kModel, [&] { open_model_folder(folder_); });
  }

  test::TemporaryFolder scratch_;
  fs::path base_ = scratch_ / "base", folder_ = scratch_ / "adapter";
  Adapter adapter_;
};

TEST_F(AdapterFolders, ReadWhatWasWritten) {
  const ModelFolder opened = open_model_folder(folder_);
  EXPECT_EQ(opened.path, base_);
  EXPECT_EQ(opened.adapter_path, folder_);
  EXPECT_EQ(opened.base_hash, open_model_folder(base_).weights_hash);
  EXPECT_NE(opened.weights_hash, opened.base_hash);
  EXPECT_EQ(opened.adapter->hash, adapter_.hash);
  EXPECT_EQ(opened.adapter->config, adapter_.config);
  EXPECT_FALSE(fs::exists(folder_ / "config.json"));
}

TEST_F(AdapterFolders, RefuseTensorsThatDoNotFit) {
  NamedTensors tensors = adapter_.tensors;
  tensors.erase(tensors.begin() + 1);
  write(tensors);
  EXPECT_THAT(refusal(),
              HasSubstr("q_proj.lora_B.weight is missing; adapter_config.json and the base model call for"));
  tensors = adapter_.tensors;
  tensors.emplace_back("base_model.model.model.embed_tokens.lora_embedding_A", at::zeros({4, 11}));
  write(tensors);
  EXPECT_THAT(refusal(),
              HasSubstr("lora_embedding_A is not what adapter_config.json and the base model call for"));
  tensors = adapter_.tensors;
  tensors[0].second = at::zeros({4, 9});
  write(tensors);
  EXPECT_THAT(refusal(), HasSubstr("q_proj.lora_A.weight has the wrong shape; got [4, 9], expected [4, 8]"));
}

TEST_F(AdapterFolders, RefuseAnotherBase) {
  Json wider = tiny_config();
  wider["hidden_size"] = 16;
  test::write_folder(base_, wider, tiny_tensors(wider));
  EXPECT_THAT(refusal(), HasSubstr("was trained on another base model"));
  write(adapter_.tensors);  // as PEFT writes it, without a hash
  EXPECT_THAT(refusal(), HasSubstr("has the wrong shape; got [4, 8], expected [4, 16]"));
  fs::remove_all(base_);
  EXPECT_THAT(refusal(), HasSubstr("the base model that base_model_name_or_path names is not there"));
}

// As PEFT writes it, without a hash: what its config names is looked at, where it is there.
TEST_F(AdapterFolders, RefuseAnotherBaseThanTheyName) {
  write(adapter_.tensors);
  const fs::path same = scratch_ / "same", other = scratch_ / "other";
  fs::copy(base_, same);
  NamedTensors changed = tiny_tensors(tiny_config());
  changed[0].second += 1;
  test::write_folder(other, tiny_config(), changed);
  EXPECT_TRUE(open_adapter_folder(folder_, same).adapter.has_value());
  EXPECT_THAT(test::message_of(ErrorKind::kModel, [&] { open_adapter_folder(folder_, other); }),
              HasSubstr("whose weights are not those of"));
  change_config([](Json& config) { config["base_model_name_or_path"] = "org/elsewhere"; });
  EXPECT_TRUE(open_adapter_folder(folder_, other).adapter.has_value());  // with a warning
}

TEST_F(AdapterFolders, AreFoundBesideTheirBase) {
  change_config([](Json& config) { config["base_model_name_or_path"] = "../base"; });
  EXPECT_EQ(fs::canonical(open_model_folder(folder_).path), fs::canonical(base_));
  change_config([](Json& config) { config.erase("base_model_name_or_path"); });
  EXPECT_THAT(refusal(), HasSubstr("base_model_name_or_path is missing"));
}

TEST_F(AdapterFolders, AreNoBaseThemselves) {
  const fs::path second = scratch_ / "second";
  fs::copy(folder_, second);
  EXPECT_THAT(test::message_of(ErrorKind::kModel, [&] { open_adapter_folder(second, folder_); }),
              HasSubstr("is an adapter; expected the base model of"));
}

TEST_F(AdapterFolders, NeedSafetensors) {
  fs::rename(folder_ / "adapter_model.safetensors", folder_ / "adapter_model.bin");
  EXPECT_THAT(refusal(), HasSubstr("holds pickle weights only (adapter_model.bin)"));
  fs::remove(folder_ / "adapter_model.bin");
  EXPECT_THAT(refusal(), HasSubstr("adapter_model.safetensors is missing"));
}

// What other trainers leave beside an adapter does not make it a whole model.
TEST_F(AdapterFolders, MayHoldAConfigOfTheBase) {
  fs::copy_file(base_ / "config.json", folder_ / "config.json");
  EXPECT_TRUE(open_model_folder(folder_).adapter.has_value());
}

}  // namespace
}  // namespace ddro::models
