// How completions are sampled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ddro::generate {

struct SamplingOptions {
  double temperature = 1.0;  // 0: the most probable token
  std::int64_t top_k = 0;    // 0: all tokens
  double top_p = 1.0;
};

struct GenerateOptions {
  SamplingOptions sampling;
  std::int64_t max_new_tokens = 256;
  std::vector<std::string> stop;  // texts that end a completion and are cut off
  std::int64_t num_samples = 1;   // completions of each prompt
  std::int64_t seed = 42;
  std::int64_t batch_size = 16;  // sequences that go on side by side: memory against speed

  // Error(kInput) naming the key, "eval.top_p" for the section "eval"; without a section the command's
  // option,
  // "--top-p".
  void validate(const std::string& section = "") const;
};

}  // namespace ddro::generate
