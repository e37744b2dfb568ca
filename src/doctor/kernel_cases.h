// Each CUDA kernel with inputs for it, and the slow form on the CPU that it has to agree with.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/doctor/finding.h"

namespace ddro::doctor {

using Tensors = std::vector<Tensor>;
using TensorFunction = std::function<Tensors(const Tensors& inputs)>;

struct KernelCase {
  std::string name;
  Tensors inputs;         // on the CPU
  TensorFunction kernel;  // of inputs on the device
  TensorFunction twin;    // of the same in float64
  double tolerance = 0;   // of the largest difference, as a share of the largest number; 0: the same bits
};

std::vector<KernelCase> kernel_cases();

// Runs the kernel with inputs on `device` and its twin on the CPU.
Finding compare(const KernelCase& kernel_case, at::Device device);

}  // namespace ddro::doctor
