#include "ddro/train/throughput.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <torch/cuda.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "ddro/base/memory.h"
#include "ddro/ops/product.h"

namespace ddro::train {
namespace {

// Of an adapter's own products in one forward.
double adapter_flops(const models::AdapterSpec& adapter, const data::StepPlan& plan) {
  double tokens = 0;
  for (const data::PackedBatch& batch : plan.micro_batches) tokens += static_cast<double>(batch.ids_T.size());
  double weights = 0;
  for (const models::AdaptedLinear& each : adapter.linears)
    weights += static_cast<double>(each.rank * (each.linear.in + each.linear.out));
  return 2 * weights * tokens;
}

// Numbers of the program's own random streams stay as they are.
at::Generator seeded_generator(at::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(0);
  return generator;
}

// Of one call, after one that is not timed.
double median_seconds(at::Device device, int rounds, const std::function<void()>& call) {
  call();
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) {
    synchronize(device);
    const auto start = std::chrono::steady_clock::now();
    call();
    synchronize(device);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[static_cast<size_t>(rounds / 2)];
}

}  // namespace

double forward_flops(const models::ModelSpec& spec, const data::PackedBatch& batch) {
  const auto tokens = static_cast<double>(batch.ids_T.size());
  const auto completion_tokens = static_cast<double>(batch.targets_C.size());
  double visible_keys = 0;
  for (const data::Segment& segment : batch.segments) {
    const auto length = static_cast<double>(segment.length);
    visible_keys += length * (length + 1) / 2 + length * static_cast<double>(segment.prefix_length);
  }
  double heads = 0;  // their widths, of all layers
  for (const models::LayerSpec& layer : spec.layers)
    heads += static_cast<double>(layer.attention.num_heads * layer.attention.head_dim);
  return 2 * static_cast<double>(models::num_trunk_matmul_parameters(spec)) * tokens +
         4 * heads * visible_keys +
         2 * static_cast<double>(spec.hidden_size * spec.vocab_size) * completion_tokens;
}

double forward_flops(const models::ModelSpec& spec, const data::StepPlan& plan) {
  double flops = 0;
  for (const data::PackedBatch& batch : plan.micro_batches) flops += forward_flops(spec, batch);
  return flops;
}

double step_flops(const models::ModelSpec& spec, const models::AdapterSpec* adapter,
                  const data::StepPlan& plan, bool live_reference) {
  const double forward = forward_flops(spec, plan);
  if (adapter == nullptr) return forward * (live_reference ? 4 : 3);
  return forward * (live_reference ? 3 : 2) + 3 * adapter_flops(*adapter, plan);
}

double measure_matmul_rate(at::Device device, at::ScalarType dtype) {
  at::NoGradGuard no_grad;
  const std::int64_t size = device.is_cuda() ? 8192 : 1536;
  const auto options = at::TensorOptions().dtype(dtype).device(device);
  // Numbers as training has them: a GPU is faster, and draws less power, on zeros and ones.
  auto generator = seeded_generator(device);
  const Tensor a = at::empty({size, size}, options).normal_(0, 1, generator);
  const double seconds = median_seconds(device, device.is_cuda() ? 20 : 4, [&] { ops::product(a, a); });
  const auto width = static_cast<double>(size);
  return 2 * width * width * width / seconds;
}

double measure_copy_rate(at::Device device, at::ScalarType dtype) {
  at::NoGradGuard no_grad;
  const std::int64_t bytes = std::int64_t{1} << (device.is_cuda() ? 30 : 27);  // far beyond any cache
  const auto options = at::TensorOptions().dtype(dtype).device(device);
  const Tensor from = at::ones({bytes / static_cast<std::int64_t>(at::elementSize(dtype))}, options);
  Tensor to = at::empty_like(from);
  const double seconds = median_seconds(device, 5, [&] { to.copy_(from); });
  return 2 * static_cast<double>(bytes) / seconds;
}

void synchronize(at::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

std::int64_t peak_memory_bytes(at::Device device) {
  if (device.is_cuda()) {
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  }
  return static_cast<std::int64_t>(peak_resident_memory().value_or(0));
}

}  // namespace ddro::train
