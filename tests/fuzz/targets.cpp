#include "fuzz/targets.h"

namespace ddro::test {

const std::map<std::string, Target>& targets() {
  static const std::map<std::string, Target> all = {
      {"adapter_config", read_adapter_config},
      {"arrow", read_arrow},
      {"gguf", read_gguf},
      {"json", read_json},
      {"manifest", read_manifest},
      {"model_config", read_model_config},
      {"parquet", read_parquet},
      {"reference_cache", read_reference_cache},
      {"rows", read_rows},
      {"run_config", read_run_config},
      {"run_folder", read_run_folder},
      {"safetensors", read_safetensors},
      {"template", render_template},
      {"token_cache", read_token_cache},
      {"tokenizer_json", read_tokenizer_json},
      {"tokenizer_model", read_tokenizer_model},
  };
  return all;
}

std::vector<std::string_view> cut_into(size_t count, std::string_view input) {
  constexpr std::string_view kCut = "\n-----\n";
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < count) {
    const size_t end = input.find(kCut);
    parts.push_back(input.substr(0, end));
    input = end == input.npos ? std::string_view() : input.substr(end + kCut.size());
  }
  parts.push_back(input);
  return parts;
}

}  // namespace ddro::test
