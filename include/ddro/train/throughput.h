// How fast and how large a run is: useful floating-point operations, the machine's matmul rate, peak memory.
#pragma once

#include <cstdint>

#include "ddro/base/tensor.h"
#include "ddro/data/packed_batch.h"
#include "ddro/models/adapter_spec.h"
#include "ddro/models/model_spec.h"

namespace ddro::train {

// Operations of one forward over packed tokens, of a micro-batch or a step: linear layers 2 per parameter and
// token, attention 4 per visible key, query head and head width, the head at completion positions only.
double forward_flops(const models::ModelSpec& spec, const data::PackedBatch& batch);
double forward_flops(const models::ModelSpec& spec, const data::StepPlan& plan);

// Useful operations of a training step: forward and twice that for the backward, plus the reference's forward
// when it is live. With an adapter (null: none) the frozen weights need no gradient: their backward is once
// the forward, and its own products come on top. Recomputation is not useful work.
double step_flops(const models::ModelSpec& spec, const models::AdapterSpec* adapter,
                  const data::StepPlan& plan, bool live_reference);

// Operations a second of a large matmul of normal numbers, measured here and now in `dtype` on `device`
// (about 0.2 s of work): the median of a few.
double measure_matmul_rate(at::Device device, at::ScalarType dtype);

// Bytes a second, read and written, of a large copy within the device's memory; likewise.
double measure_copy_rate(at::Device device, at::ScalarType dtype);

// Waits until the device has done what it was given; the CPU has.
void synchronize(at::Device device);

// Largest resident size of the process so far on the CPU, of the allocator on CUDA; bytes.
std::int64_t peak_memory_bytes(at::Device device);

}  // namespace ddro::train
