// What reads the files and texts that users bring, each as a function of bytes: for libFuzzer (fuzz.cpp) and
// for the test that reads the committed corpus (corpus_test.cpp).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/error.h"

namespace ddro::test {

// Reads `input` and uses what comes of it. All that an input may cause is an Error, which is caught, unless
// it is of kind kInternal; that, another exception or a crash is a finding.
using Target = void (*)(std::string_view input);

// By name, which is also that of the target's folder in corpus/.
const std::map<std::string, Target>& targets();

// An input that stands for several files, cut at lines of "-----": `count` of them, empty where it has fewer.
std::vector<std::string_view> cut_into(size_t count, std::string_view input);

template <typename Body>
void expect_input_errors(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) throw;
  }
}

void read_json(std::string_view input);
void read_gguf(std::string_view input);
void read_safetensors(std::string_view input);
void read_model_config(std::string_view input);
void read_adapter_config(std::string_view input);
void read_tokenizer_json(std::string_view input);
void read_tokenizer_model(std::string_view input);
void render_template(std::string_view input);
void read_rows(std::string_view input);
void read_parquet(std::string_view input);
void read_arrow(std::string_view input);
void read_token_cache(std::string_view input);
void read_reference_cache(std::string_view input);
void read_run_config(std::string_view input);
void read_manifest(std::string_view input);
void read_run_folder(std::string_view input);

}  // namespace ddro::test
