// How fast training is here, on a random model of a well-known shape that is drawn where it is needed. Random
// weights show speed and memory, not quality.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/tensor.h"

namespace ddro::doctor {

enum class Shape { k135M, k1B, k8B };

struct KernelTime {
  std::string name;
  std::int64_t calls = 0;
  double seconds = 0;  // on CUDA of the kernel; on the CPU of the operation, without those it calls
};

struct SpeedReport {
  std::string model;  // its description
  std::int64_t parameters = 0;
  std::string device;
  std::string dtype;
  std::int64_t pairs = 0;   // a step
  std::int64_t tokens = 0;  // a step, of all sequences
  std::vector<double> step_seconds;
  double pairs_per_second = 0;
  double tokens_per_second = 0;
  double flops = 0;                       // useful operations a second
  double matmul_rate = 0;                 // operations a second of a large product in this process
  std::optional<double> data_sheet_rate;  // what the GPU is sold to do in bfloat16
  double busy =
      0;  // CUDA: share of a step in which a kernel ran; CPU: of the threads' time that was computed
  std::int64_t peak_memory_bytes = 0;
  std::vector<KernelTime> kernels;  // of one more step, under LibTorch's profiler, the longest first
};

// A few warm-up steps, then timed ones, each synchronised: DDRO with a cached reference on random pairs, with
// optimizer. Half of a sequence's tokens are its completion; 0: 512 on a GPU, 256 on the CPU. 8B as
// configs/llama_8b.yaml has it: recomputation and float8 moments. Error(kModel) where memory will not
// suffice.
SpeedReport measure_speed(Shape shape, at::Device device, at::ScalarType dtype,
                          std::int64_t sequence_tokens = 0);

}  // namespace ddro::doctor

namespace ddro {

template <>
struct EnumNames<doctor::Shape> {
  using E = doctor::Shape;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"135m", E::k135M}, {"1.2b", E::k1B}, {"8b", E::k8B}}};
};

}  // namespace ddro
