// What we export, as transformers reads it.
#include <gtest/gtest.h>

#include <unistd.h>
#include <cstdlib>

#include "models/export.h"
#include "parity/models/fixture_models.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

// Through a trainable model, as a training run would export it.
int export_and_compare(const std::string& name, models::ExportDType dtype, std::uint64_t max_shard_bytes,
                       double tolerance) {
  std::string scratch = (fs::temp_directory_path() / "ddro_export_XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr) throw std::runtime_error("no temporary folder");
  const fs::path source = fixture(name), out = fs::path(scratch) / name;
  const models::ModelFolder folder = models::open_model_folder(source);
  const auto model = models::make_causal_lm(folder.config, folder.tensors, {});
  models::export_model_folder(source, model->parameters(), dtype, out, max_shard_bytes);
  const fs::path root = environment_path("DDRO_SOURCE_DIR");
  const std::string command = (root / ".venv/bin/python").string() + " " +
                              (root / "tests/parity/models/check_export.py").string() + " " +
                              source.string() + " " + out.string() + " " + std::to_string(tolerance);
  const int status = std::system(command.c_str());
  fs::remove_all(scratch);
  return status;
}

TEST(ExportParity, TransformersReadsTheSameModel) {
  EXPECT_EQ(export_and_compare("qwen3", models::ExportDType::kKeep, models::kMaxShardBytes, 0), 0);
}

TEST(ExportParity, TransformersReadsShards) {
  EXPECT_EQ(export_and_compare("llama_biases", models::ExportDType::kKeep, 30'000, 0), 0);
}

TEST(ExportParity, BFloat16IsTheSameModelUpToRounding) {
  EXPECT_EQ(export_and_compare("llama_bfloat16", models::ExportDType::kBFloat16, models::kMaxShardBytes, 0),
            0);
  EXPECT_NE(export_and_compare("llama", models::ExportDType::kBFloat16, models::kMaxShardBytes, 0), 0);
}

}  // namespace
}  // namespace ddro::test
