#include "cli/run_setup.h"

#include <c10/core/AllocatorConfig.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>

#include "cli/summaries.h"
#include "ddro/base/log.h"

namespace ddro::cli {
namespace {

bool cpu_has_native_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

void check_ids(const std::vector<text::TokenId>& ids, const std::string& where,
               const models::ModelConfig& config) {
  const auto largest = *std::max_element(ids.begin(), ids.end());
  if (largest < config.vocab_size) return;
  throw model_error("[tokenizer] gives id " + std::to_string(largest) + " for " + where + ", the model has " +
                    std::to_string(config.vocab_size) + " ids; tokenizer and model do not belong together");
}

}  // namespace

at::Device default_device() {
  if (!torch::cuda::is_available()) return at::kCPU;
  // Micro-batches differ in size; in segments of fixed sizes their tensors would leave gaps that nothing
  // fits.
  const bool user_decides =
      std::getenv("PYTORCH_ALLOC_CONF") != nullptr || std::getenv("PYTORCH_CUDA_ALLOC_CONF") != nullptr;
  if (!user_decides) c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
  return {at::kCUDA, 0};
}

models::ComputeDType parse_dtype(const std::string& name) {
  if (name == "auto") return models::ComputeDType::kAuto;
  if (name == "float32") return models::ComputeDType::kFloat32;
  if (name == "bfloat16") return models::ComputeDType::kBFloat16;
  if (name == "float64") return models::ComputeDType::kFloat64;
  throw input_error("[--dtype] unknown type \"" + printable(name) +
                    "\"; known: auto, float32, bfloat16, float64");
}

at::ScalarType compute_dtype(models::ComputeDType dtype, at::Device device) {
  switch (dtype) {
    case models::ComputeDType::kAuto:
      return device.is_cuda() || cpu_has_native_bfloat16() ? at::kBFloat16 : at::kFloat;
    case models::ComputeDType::kFloat32:
      return at::kFloat;
    case models::ComputeDType::kBFloat16:
      return at::kBFloat16;
    case models::ComputeDType::kFloat64:
      return at::kDouble;
  }
  return at::kFloat;
}

double data_alpha(const data::Dataset& dataset) {
  const double chosen = dataset.class_weight(data::RowClass::kChosen);
  return chosen / (chosen + dataset.class_weight(data::RowClass::kRejected));
}

void log_report(const std::string& name, const data::Dataset& dataset) {
  log_info(name + ": " + std::to_string(dataset.examples.size()) + " of " +
           std::to_string(dataset.report.num_rows) + " rows used (" + kind_label(dataset.kind) + "), " +
           std::to_string(dataset.dropped.size()) + " dropped, " + std::to_string(dataset.num_tokens()) +
           " tokens");
  for (const std::string& remark : data_remarks(dataset.report)) log_warning(name + ": " + remark);
}

void check_fits_model(const data::Dataset& dataset, const models::ModelConfig& config) {
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    for (const data::EncodedSequence& sequence : dataset.examples[i].sequences) {
      const auto length = static_cast<std::int64_t>(sequence.ids.size());
      if (length > config.max_position_embeddings) {
        throw input_error("[data] " + dataset.wheres[i] + ": " + std::to_string(length) +
                          " tokens, the model has " + std::to_string(config.max_position_embeddings) +
                          " positions; lower data.max_length");
      }
      check_ids(sequence.ids, dataset.wheres[i], config);
    }
  }
}

void check_fits_model(const std::vector<data::Prompt>& prompts, const models::ModelConfig& config) {
  for (const data::Prompt& prompt : prompts) {
    if (static_cast<std::int64_t>(prompt.ids.size()) >= config.max_position_embeddings) {
      throw input_error("[data] " + prompt.where + ": " + std::to_string(prompt.ids.size()) +
                        " tokens, which leaves a completion no room; the model has " +
                        std::to_string(config.max_position_embeddings) + " positions");
    }
    check_ids(prompt.ids, prompt.where, config);
  }
}

void check_same_ids(const models::ModelConfig& reference, const models::ModelConfig& policy) {
  if (reference.vocab_size == policy.vocab_size) return;
  throw model_error("[reference] has " + std::to_string(reference.vocab_size) + " ids, the policy " +
                    std::to_string(policy.vocab_size) + "; both need the same tokenizer");
}

std::unique_ptr<models::CausalLm> build_model(const models::ModelFolder& folder, at::Device device,
                                              at::ScalarType dtype, bool trainable,
                                              bool gradient_checkpointing) {
  models::BuildOptions options;
  options.device = device;
  options.dtype = dtype;
  options.trainable = trainable;
  options.gradient_checkpointing = gradient_checkpointing;
  return models::make_causal_lm(folder.config, folder.tensors, options);
}

}  // namespace ddro::cli
