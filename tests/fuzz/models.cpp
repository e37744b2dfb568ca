#include "ddro/base/gguf_file.h"
#include "ddro/base/json.h"
#include "ddro/base/safetensors.h"
#include "ddro/gguf/hugging_face.h"
#include "ddro/models/adapter_spec.h"
#include "ddro/models/model_config.h"
#include "fuzz/targets.h"
#include "support/temporary_folder.h"

namespace ddro::test {

void read_safetensors(std::string_view input) {
  static const TemporaryFolder folder;
  const auto path = folder.write("model.safetensors", input);
  expect_input_errors([&] {
    const SafetensorsFile file(path);
    unsigned sum = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      for (const std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
    }
    [[maybe_unused]] static volatile unsigned sink;
    sink = sum;
  });
}

void read_gguf(std::string_view input) {
  static const TemporaryFolder folder;
  const auto path = folder.write("model.gguf", input);
  expect_input_errors([&] {
    const GgufFile file(path);
    for (const GgufTensor& tensor : file.tensors()) {
      const BlockFormat& format = block_format(tensor.type);
      std::vector<float> numbers(tensor.bytes.size() / format.bytes * format.numbers);
      unpack_blocks(tensor.type, tensor.bytes, numbers);
    }
    expect_input_errors([&] { gguf::model_tensors(file); });
    expect_input_errors([&] {
      for (const std::string& name : gguf::file_names(file))
        expect_input_errors([&] { gguf::file_content(file, name); });
    });
    for (const char* key : {"general.architecture", "tokenizer.ggml.tokens", "tokenizer.ggml.scores"}) {
      expect_input_errors([&] { file.text(key); });
      expect_input_errors([&] { file.texts(key); });
      expect_input_errors([&] { file.numbers(key); });
      expect_input_errors([&] { file.integer(key); });
      expect_input_errors([&] { file.boolean(key); });
    }
  });
}

void read_model_config(std::string_view input) {
  expect_input_errors([&] {
    models::parse_model_config(parse_json(input, "config.json", ErrorKind::kModel), "config.json");
  });
}

// config.json of the base, adapter_config.json, and a name of a tensor a line.
void read_adapter_config(std::string_view input) {
  const auto files = cut_into(3, input);
  std::vector<std::string> tensors;
  for (std::string_view rest = files[2]; !rest.empty();) {
    const size_t end = rest.find('\n');
    tensors.emplace_back(rest.substr(0, end));
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
  }
  expect_input_errors([&] {
    const auto model =
        models::parse_model_config(parse_json(files[0], "config.json", ErrorKind::kModel), "config.json");
    const std::string where = "adapter_config.json";
    const auto adapter = models::parse_adapter_config(parse_json(files[1], where, ErrorKind::kModel), where);
    models::parameters_of(models::plan_adapter(adapter, model, tensors, where));
  });
}

}  // namespace ddro::test
