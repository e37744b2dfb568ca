// What we export, as transformers reads it.
#include <gtest/gtest.h>

#include "ddro/base/files.h"
#include "parity/models/fixture_models.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

ProgramResult run_python(const std::string& script, const std::vector<std::string>& arguments) {
  const fs::path root = environment_path("DDRO_SOURCE_DIR");
  std::vector<std::string> command = {(root / ".venv/bin/python").string(),
                                      (root / "tests/parity/models" / script).string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_program(command);
}

// Through a trainable model, as a training run would export it.
void export_trained(const fs::path& source, const models::ExportOptions& options, const fs::path& out) {
  const models::ModelFolder folder = models::open_model_folder(source);
  const auto model = models::make_causal_lm(folder.spec, folder.tensors, {});
  models::export_model_folder(source, model->parameters(), options, out);
}

int export_and_compare(const std::string& name, const models::ExportOptions& options, double tolerance) {
  const TemporaryFolder scratch;
  const fs::path source = model_fixture(name), out = scratch / name;
  export_trained(source, options, out);
  return run_python("check_export.py", {std::to_string(tolerance), source.string(), out.string()}).exit_code;
}

bool is_for_transformers(const std::string& name) {
  const Json config = read_json_file((model_fixture(name) / "config.json").string(), ErrorKind::kModel);
  const bool has_own_code = config.contains("auto_map");
  return !name.ends_with("_v5") && !has_own_code;  // nor what a later version wrote
}

// One program for all of them: it takes longer to start than to compare.
TEST(ExportParity, TransformersReadsTheSameModels) {
  const TemporaryFolder scratch;
  std::vector<std::string> arguments = {"0"};
  for (const std::string& name : kModelFixtures) {
    if (!is_for_transformers(name)) continue;
    export_trained(model_fixture(name), {}, scratch / name);
    arguments.insert(arguments.end(), {model_fixture(name).string(), (scratch / name).string()});
  }
  const ProgramResult result = run_python("check_export.py", arguments);
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

TEST(ExportParity, WhatTransformersCannotReadHasTheSameTensors) {
  const TemporaryFolder scratch;
  for (const std::string& name : kModelFixtures) {
    if (is_for_transformers(name)) continue;
    export_trained(model_fixture(name), {}, scratch / name);
    const SafetensorsFile source(model_fixture(name) / "model.safetensors");
    const SafetensorsFile exported(scratch / name / "model.safetensors");
    ASSERT_EQ(exported.tensors().size(), source.tensors().size()) << name;
    for (const auto& [key, view] : source.tensors()) {
      const Tensor expected = tensor_from_view(view, source.mapping());
      EXPECT_TRUE(at::equal(tensor_from_view(exported.tensors().at(key), exported.mapping()), expected))
          << key;
    }
  }
}

TEST(ExportParity, TransformersReadsShards) {
  EXPECT_EQ(export_and_compare("llama_biases", {.max_shard_bytes = 30'000}, 0), 0);
}

TEST(ExportParity, BFloat16IsTheSameModelUpToRounding) {
  EXPECT_EQ(export_and_compare("llama_bfloat16", {.dtype = models::ExportDType::kBFloat16}, 0), 0);
  EXPECT_NE(export_and_compare("llama", {.dtype = models::ExportDType::kBFloat16}, 0), 0);
}

// SmolLM2's tokenizer with templates in every place that transformers has looked for them in.
void add_tokenizer(const fs::path& folder) {
  const fs::path smollm2 = environment_path("DDRO_SOURCE_DIR") / "models" / "SmolLM2-135M-Instruct";
  for (const char* name : {"tokenizer.json", "special_tokens_map.json", "generation_config.json"})
    fs::copy_file(smollm2 / name, folder / name, fs::copy_options::overwrite_existing);
  Json config = read_json_file((smollm2 / "tokenizer_config.json").string(), ErrorKind::kModel);
  config["chat_template"] = Json::array({{{"name", "default"}, {"template", "old"}}});
  write_file_atomic(folder / "tokenizer_config.json", config.dump());
  fs::create_directories(folder / "additional_chat_templates");
  write_file_atomic(folder / "additional_chat_templates" / "rag.jinja", "old");
  write_file_atomic(folder / "chat_template.json", R"({"chat_template": "old"})");
}

Json as_transformers_loads(const fs::path& folder) {
  const ProgramResult result = run_python("check_inference.py", {folder.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return parse_json(result.out, "check_inference.py", ErrorKind::kInput);
}

TEST(ExportParity, TransformersFindsTheTemplateAndTheEndTokenOfTheRun) {
  const TemporaryFolder scratch;
  const fs::path source = scratch / "source", out = scratch / "out";
  fs::copy(model_fixture("llama"), source);
  add_tokenizer(source);
  const models::ModelFolder folder = models::open_model_folder(source);
  const std::string text = "{{ messages[0].content }}\n  \u00e9 trained with\n";
  models::export_model_folder(source, folder.tensors,
                              {.dtype = models::ExportDType::kBFloat16,
                               .chat_template = text,
                               .eos_token = models::EndToken{"<|endoftext|>", {0}}},
                              out);
  EXPECT_EQ(as_transformers_loads(out), (Json{{"template", text},
                                              {"eos_token", "<|endoftext|>"},
                                              {"eos_token_id", 0},
                                              {"generation_eos", 0},
                                              {"config_eos", 0},
                                              {"dtype", "torch.bfloat16"}}));
}

// Gemma's class names the second piece of a tokenizer.model by its end token.
TEST(ExportParity, AnotherEndTokenLeavesTheNamesOfAGemmaTokenizersPieces) {
  const TemporaryFolder scratch;
  const fs::path source = scratch / "source", out = scratch / "out";
  fs::copy(model_fixture("llama"), source);
  const Json names = {{"tokenizer_class", "GemmaTokenizer"}, {"eos_token", "<eos>"}};
  write_file_atomic(source / "tokenizer_config.json", names.dump());
  write_file_atomic(source / "generation_config.json", R"({"eos_token_id": 1})");
  write_file_atomic(source / "tokenizer.model", "pieces");
  const models::ModelFolder folder = models::open_model_folder(source);
  models::export_model_folder(source, folder.tensors,
                              {.eos_token = models::EndToken{"<end_of_turn>", {106, 1}}}, out);
  const auto read = [&](const char* name) {
    return read_json_file((out / name).string(), ErrorKind::kModel);
  };
  EXPECT_EQ(read("tokenizer_config.json"), names);
  EXPECT_EQ(read("generation_config.json")["eos_token_id"], (Json{106, 1}));
}

TEST(ExportParity, TransformersFindsWhatTheSourceHas) {
  const TemporaryFolder scratch;
  const fs::path source = scratch / "source", out = scratch / "out";
  fs::copy(model_fixture("llama"), source);
  add_tokenizer(source);
  const models::ModelFolder folder = models::open_model_folder(source);
  models::export_model_folder(source, folder.tensors, {}, out);
  const Json loaded = as_transformers_loads(out);
  EXPECT_EQ(loaded["template"], (Json{{"rag", "old"}}));
  EXPECT_EQ(loaded, as_transformers_loads(source));
}

}  // namespace
}  // namespace ddro::test
