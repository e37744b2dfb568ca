#include "run/gpu.h"

#include <ATen/cuda/CUDAContextLight.h>
#include <c10/core/AllocatorConfig.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/log.h"
#include "ddro/base/tensor_io.h"
#include "ddro/ops/varlen_attention.h"

namespace ddro::run {
namespace {

std::string text(Capability capability) {
  return std::to_string(capability.major) + "." + std::to_string(capability.minor);
}

}  // namespace

Capability capability_of(at::Device device) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(device.index());
  return {properties->major, properties->minor};
}

void check_capability(const std::string& device_name, Capability capability) {
  if (capability >= kLeastCapability) return;
  throw model_error("[device] there are no kernels for " + printable(device_name) +
                    "; got compute capability " + text(capability) + ", expected at least " +
                    text(kLeastCapability) + "; CUDA_VISIBLE_DEVICES= trains on the CPU");
}

void choose_segments(const std::function<void()>& allocate) {
  c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
  try {
    allocate();
  } catch (const c10::Error&) {
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:False");
    log_warning(
        "[device] this GPU's memory cannot be given in segments that grow; fixed ones are used, in which "
        "more "
        "of it may be left idle");
  }
}

std::vector<std::string> gpu_remarks(const models::ModelSpec& spec, at::ScalarType dtype) {
  if (dtype != at::kBFloat16 && dtype != at::kHalf) {
    return {"[model.dtype] " + dtype_label(dtype) +
            " on a GPU: products take a fifteenth of the rate of bfloat16 (H100), and attention pads its "
            "sequences and keeps masks; dtype: bfloat16 is meant for training there"};
  }
  const auto slow = std::find_if(spec.layers.begin(), spec.layers.end(), [&](const auto& layer) {
    const auto& attention = layer.attention;
    return attention.alibi ||
           !ops::flash_attention_takes(dtype, attention.head_dim, attention.softcap.value_or(0));
  });
  if (slow == spec.layers.end()) return {};
  const auto& attention = slow->attention;
  if (attention.softcap) {
    return {
        "[model] the scores of this model's attention are capped, which flash attention cannot do: they "
        "are kept, and memory and time grow with the square of the length; shorter data.max_length and "
        "train.micro_batch_tokens help"};
  }
  if (attention.alibi) {
    return {
        "[model] this model's attention has biases (ALiBi), which flash attention cannot take: masks of all "
        "heads are kept, and memory and time grow with the square of the length; shorter data.max_length and "
        "train.micro_batch_tokens help"};
  }
  return {"[model] attention heads of width " + std::to_string(attention.head_dim) +
          " are none that flash attention takes (multiples of 8 up to 256): sequences are padded and masks "
          "kept, which is several times as slow"};
}

}  // namespace ddro::run
