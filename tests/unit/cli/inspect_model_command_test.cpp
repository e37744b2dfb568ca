#include <gmock/gmock.h>

#include <cstddef>
#include <map>

#include "ddro/base/safetensors.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "unit/cli/small_tokenizer.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::TemporaryFolder;
using ::testing::HasSubstr;

class InspectModel : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("config.json",
                  R"({"model_type": "llama", "vocab_size": 8, "hidden_size": 4, "intermediate_size": 6,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32,
        "tie_word_embeddings": true, "eos_token_id": 3})");
    folder_.write("tokenizer.json", test::kSmallTokenizer);
    folder_.write(
        "tokenizer_config.json",
        R"({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "chat_template": "{{ strftime_now('%Y') }}"})");
    const std::string layer = "model.layers.0.";
    const std::map<std::string, std::vector<std::int64_t>> shapes = {
        {"model.embed_tokens.weight", {8, 4}},       {"model.norm.weight", {4}},
        {layer + "input_layernorm.weight", {4}},     {layer + "post_attention_layernorm.weight", {4}},
        {layer + "self_attn.q_proj.weight", {4, 4}}, {layer + "self_attn.k_proj.weight", {2, 4}},
        {layer + "self_attn.v_proj.weight", {2, 4}}, {layer + "self_attn.o_proj.weight", {4, 4}},
        {layer + "mlp.gate_proj.weight", {6, 4}},    {layer + "mlp.up_proj.weight", {6, 4}},
        {layer + "mlp.down_proj.weight", {4, 6}}};
    const std::vector<std::byte> zeros(256);
    std::vector<NamedBytes> tensors;
    for (const auto& [name, shape] : shapes) {
      std::int64_t bytes = 2;
      for (const std::int64_t size : shape) bytes *= size;
      tensors.push_back({name, DType::kBFloat16, shape, std::span(zeros).first(static_cast<size_t>(bytes))});
    }
    write_safetensors(folder_.path() / "model.safetensors", tensors, {{"format", "pt"}});
  }

  TemporaryFolder folder_;
};

TEST_F(InspectModel, ShowsParametersTokenizerAndNeeds) {
  const ProgramResult result = ddro_train({"inspect", "model", folder_.path().string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part :
       {"llama, 1 layers of width 4, 2 heads of 2 (1 for keys and values), MLP 6, 8 ids, 32 positions, head "
        "tied to the "
        "embedding\n",
        "weights     hash ", "  model.embed_tokens.weight                       8 x 4  bfloat16\n",
        "  model.norm.weight                               4      bfloat16\n",
        "total       164 parameters in 11 tensors, 0.00 GB\n",
        "tokenizer   tokenizer.json (BPE), 8 ids, hash ", "end tokens  3 \"<|end|>\"\n",
        "control     1 tokens: 3 \"<|end|>\"\n", "template    24 bytes, hash ", ", shows the date\n",
        "checkpoint  0.00 GB on disk\n", "training    0.00 GB in float32, 0.00 GB with a reference"}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
}

TEST_F(InspectModel, SaysWhenThereIsNoTemplate) {
  folder_.write("tokenizer_config.json",
                R"({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"})");
  EXPECT_THAT(ddro_train({"inspect", "model", folder_.path().string()}).out,
              HasSubstr("template    none; rows have to be strings\n"));
}

TEST_F(InspectModel, RefusesAFolderThatIsNoModelBeforePrinting) {
  std::filesystem::remove(folder_.path() / "tokenizer.json");
  const ProgramResult result = ddro_train({"inspect", "model", folder_.path().string()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(ddro_train({"inspect", "model", "/nonexistent/model"}).exit_code, 3);
}

}  // namespace
}  // namespace ddro
