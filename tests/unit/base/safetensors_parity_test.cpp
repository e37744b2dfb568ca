// Our reader and writer of safetensors against Python's.
#include <cstdio>

#include "ddro/base/json.h"
#include "ddro/base/safetensors.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

#include <gmock/gmock.h>

namespace ddro {
namespace {

using test::run_program;
using test::TemporaryFolder;
using test::test_environment;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
    text += digits;
  }
  return text;
}

// torch's names.
std::string python_name(DType dtype) {
  const std::map<std::string, std::string> names = {
      {"F64", "float64"}, {"F32", "float32"}, {"F16", "float16"}, {"BF16", "bfloat16"}, {"I64", "int64"},
      {"I32", "int32"},   {"I16", "int16"},   {"I8", "int8"},     {"U8", "uint8"},      {"BOOL", "bool"}};
  return names.at(dtype_name(dtype));
}

Json describe(const TensorView& view) {
  return {{"dtype", python_name(view.dtype)}, {"shape", view.shape}, {"hex", hex(view.bytes)}};
}

TEST(SafetensorsParity, ReadsWhatPythonWrote) {
  const std::filesystem::path folder =
      std::filesystem::path(test_environment("DDRO_FIXTURES")) / "safetensors";
  ASSERT_TRUE(std::filesystem::exists(folder / "all.safetensors"))
      << folder << " is missing; run scripts/make_fixtures";
  const SafetensorsFile file(folder / "all.safetensors");
  const Json expected = read_json_file((folder / "expected.json").string(), ErrorKind::kInput);
  ASSERT_EQ(file.tensors().size(), expected.size());
  for (const auto& [name, tensor] : expected.items())
    EXPECT_EQ(describe(file.tensors().at(name)), tensor) << name;
  EXPECT_EQ(file.metadata().at("note"), "quoted \"text\"\n");
}

TEST(SafetensorsParity, PythonReadsWhatWeWrote) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "ours.safetensors").string();
  std::vector<std::vector<std::byte>> contents;
  std::vector<NamedBytes> tensors;
  Json expected = Json::object();
  for (const DType dtype :
       {DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kInt32,
        DType::kInt16, DType::kInt8, DType::kUInt8, DType::kBool}) {
    for (const std::int64_t size : {0, 1, 31, 33}) {
      contents.emplace_back(static_cast<size_t>(2 * size) * dtype_size(dtype), std::byte{1});
      tensors.push_back(
          {"\u4e2d/" + python_name(dtype) + std::to_string(size), dtype, {2, size}, contents.back()});
      expected[tensors.back().name] = {
          {"dtype", python_name(dtype)}, {"shape", {2, size}}, {"hex", hex(contents.back())}};
    }
  }
  write_safetensors(path, tensors, {{"format", "pt"}});
  const std::filesystem::path source = test_environment("DDRO_SOURCE_DIR");
  const auto python = run_program({(source / ".venv/bin/python").string(),
                                   (source / "tests/fixtures/describe_safetensors.py").string(), path});
  ASSERT_EQ(python.exit_code, 0) << python.err;
  const Json read = parse_json(python.out, "describe_safetensors.py", ErrorKind::kInput);
  EXPECT_EQ(read.at("metadata"), Json({{"format", "pt"}}));
  ASSERT_EQ(read.at("tensors").size(), expected.size());
  for (const auto& [name, tensor] : expected.items()) EXPECT_EQ(read.at("tensors").at(name), tensor) << name;
}

}  // namespace
}  // namespace ddro
