// Which tensors a configuration calls for, by Hugging Face's names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/models/model_config.h"

namespace ddro::models {

inline constexpr const char* kEmbeddingName = "model.embed_tokens.weight";
inline constexpr const char* kHeadName = "lm_head.weight";

struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

// In the fixed order of CausalLm::parameters(); a tied head is absent.
std::vector<ParameterSpec> expected_parameters(const ModelConfig& config);

// `tensors` in that order. A missing tensor, one too many, a wrong shape or a dtype that is not a float:
// Error(kind) that names it and begins with [where].
NamedTensors match_parameters(const ModelConfig& config, const NamedTensors& tensors,
                              const std::string& where, ErrorKind kind);

}  // namespace ddro::models
