// The `model` and `reference` sections of a run's configuration.
#pragma once

#include <optional>
#include <string>

namespace ddro::models {

enum class ComputeDType { kAuto, kFloat32, kBFloat16, kFloat64 };

struct ModelOptions {
  std::string model_name_or_path =
      "models/SmolLM2-135M-Instruct";  // a Hugging Face folder, or org/name in the local cache
  ComputeDType dtype =
      ComputeDType::kAuto;  // float32 on a CPU without native bf16, else bfloat16 with float32 masters
  bool gradient_checkpointing = false;

  void validate() const;  // Error(kInput) naming the dotted key
};

struct ReferenceOptions {
  std::optional<std::string> model_name_or_path;  // null: the policy's starting weights
  bool precompute_ref_log_probs = true;           // false: the reference stays in memory
  std::optional<std::string> ref_cache_dir;       // null: <train.output_dir>/ref_cache

  void validate() const;
};

}  // namespace ddro::models
