#include "ddro/run/setup.h"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>
#include <torch/cuda.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <span>

#include "ddro/base/interruption.h"
#include "ddro/base/log.h"
#include "ddro/base/memory.h"
#include "ddro/run/summaries.h"
#include "run/gpu.h"

namespace ddro::run {
namespace {

bool has_fast_bfloat16(at::Device device) {
  return device.is_cuda() && capability_of(device) >= kBFloat16Capability;
}

bool asks_for_gpu() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr && *visible != '\0' && std::string(visible) != "-1";
}

std::string cuda_text(int version) {
  return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

text::TokenId largest_of(std::span<const text::TokenId> ids) {
  return *std::max_element(ids.begin(), ids.end());
}

[[noreturn]] void refuse_id(text::TokenId id, const std::string& where, const models::ModelSpec& spec) {
  throw model_error("[tokenizer] gives id " + std::to_string(id) + " for " + where + ", the model has " +
                    std::to_string(spec.vocab_size) + " ids; tokenizer and model do not belong together");
}

}  // namespace

double free_memory(at::Device device) {
  if (device.is_cuda()) {
    size_t free_bytes = 0, total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    return static_cast<double>(free_bytes);
  }
  return available_memory().value_or(std::numeric_limits<double>::infinity());
}

std::string why_no_gpu() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver is installed";
  if (driver / 1000 < CUDART_VERSION / 1000)
    return "the driver is for " + cuda_text(driver) + ", too old for " + cuda_text(CUDART_VERSION);
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  return status == cudaSuccess ? "no device is visible" : cudaGetErrorString(status);
}

at::Device default_device(int local_rank) {
  if (!torch::cuda::is_available()) {
    if (asks_for_gpu()) {
      throw model_error("[device] CUDA_VISIBLE_DEVICES asks for a GPU, but " + why_no_gpu() +
                        "; without that variable the CPU is used");
    }
    return at::kCPU;
  }
  const auto index = static_cast<c10::DeviceIndex>(local_rank % torch::cuda::device_count());
  if (index != 0) c10::cuda::set_device(index);
  const at::Device device(at::kCUDA, index);
  check_capability(at::cuda::getDeviceProperties(device.index())->name, capability_of(device));
  const bool user_decides =
      std::getenv("PYTORCH_ALLOC_CONF") != nullptr || std::getenv("PYTORCH_CUDA_ALLOC_CONF") != nullptr;
  if (!user_decides) choose_segments([device] { at::empty({1 << 20}, at::TensorOptions(device)); });
  return device;
}

at::ScalarType compute_dtype(models::ComputeDType dtype, at::Device device) {
  switch (dtype) {
    case models::ComputeDType::kAuto:
      return has_fast_bfloat16(device) ? at::kBFloat16 : at::kFloat;
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
  const double chosen = dataset.class_weight(data::CompletionClass::kChosen);
  return chosen / (chosen + dataset.class_weight(data::CompletionClass::kRejected));
}

void log_report(const std::string& name, const data::Dataset& dataset) {
  log_info(name + ": " + std::to_string(dataset.examples.size()) + " of " +
           std::to_string(dataset.report.num_rows) + " rows used (" + kind_label(dataset.kind) + "), " +
           std::to_string(dataset.dropped.size()) + " dropped, " + std::to_string(dataset.num_tokens()) +
           " tokens");
  for (const std::string& remark : data_remarks(dataset.report)) log_warning(name + ": " + remark);
}

void check_fits_model(const data::Dataset& dataset, const models::ModelSpec& spec) {
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    leave_if_interrupted();
    dataset.release_pages_before(i);
    for (const data::EncodedSequence& sequence : dataset.examples[i].sequences) {
      const auto length = static_cast<std::int64_t>(sequence.ids.size());
      if (length > spec.max_position_embeddings) {
        throw input_error("[data] " + dataset.wheres[i] + ": " + std::to_string(length) +
                          " tokens, the model has " + std::to_string(spec.max_position_embeddings) +
                          " positions; lower data.max_length");
      }
      const text::TokenId largest = largest_of(sequence.ids);
      if (largest >= spec.vocab_size) refuse_id(largest, dataset.wheres[i], spec);
    }
  }
}

void check_fits_model(const std::vector<data::Prompt>& prompts, const models::ModelSpec& spec) {
  for (const data::Prompt& prompt : prompts) {
    if (static_cast<std::int64_t>(prompt.ids.size()) >= spec.max_position_embeddings) {
      throw input_error("[data] " + prompt.where + ": " + std::to_string(prompt.ids.size()) +
                        " tokens, which leaves a completion no room; the model has " +
                        std::to_string(spec.max_position_embeddings) + " positions");
    }
    const text::TokenId largest = largest_of(prompt.ids);
    if (largest >= spec.vocab_size) refuse_id(largest, prompt.where, spec);
  }
}

void check_same_ids(const models::ModelFolder& reference, const models::ModelFolder& policy,
                    const text::Tokenizer& policy_tokenizer) {
  if (reference.spec.vocab_size != policy.spec.vocab_size) {
    throw model_error("[reference] has " + std::to_string(reference.spec.vocab_size) + " ids, the policy " +
                      std::to_string(policy.spec.vocab_size) + "; both need the same tokenizer");
  }
  if (reference.path == policy.path || !text::has_tokenizer(reference.path)) return;
  const auto other = text::load_tokenizer(reference.path);
  const auto token = [](const text::Tokenizer& tokenizer, text::TokenId id) {
    return id < tokenizer.id_limit() ? "\"" + printable(tokenizer.token_of(id)) + "\"" : "no token";
  };
  const text::TokenId limit = std::max(other->id_limit(), policy_tokenizer.id_limit());
  for (text::TokenId id = 0; id < limit; ++id) {
    const std::string theirs = token(*other, id);
    const std::string ours = token(policy_tokenizer, id);
    if (theirs == ours) continue;
    throw model_error("[reference] " + printable(reference.path.string(), 400) +
                      " has another tokenizer: id " + std::to_string(id) + " is " + theirs + " there and " +
                      ours + " in the policy's; a reference has to read the same ids");
  }
}

text::ModelText load_text(const std::filesystem::path& folder,
                          const std::optional<std::string>& chat_template_file,
                          const std::optional<std::string>& eos_token) {
  std::optional<std::filesystem::path> base;
  if (models::is_adapter(folder)) base = models::adapter_base(folder);
  return text::load_model_text(folder, chat_template_file, eos_token, base);
}

std::unique_ptr<models::CausalLm> build_model(const models::ModelFolder& folder, at::Device device,
                                              at::ScalarType dtype) {
  return models::make_causal_lm(folder.spec, folder.tensors,
                                {.device = device,
                                 .dtype = dtype,
                                 .trainable = false,
                                 .adapter = folder.adapter ? &*folder.adapter : nullptr});
}

}  // namespace ddro::run
