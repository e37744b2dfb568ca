// The checks, a function for each group of them.
#pragma once

#include "ddro/base/tensor.h"
#include "ddro/doctor/doctor.h"

namespace ddro::doctor {

Findings check_versions(const Machine& machine);
Findings check_processor(const Machine& machine);
Findings check_devices(const Machine& machine);
Findings check_rates(const Machine& machine);
Findings check_kernels(const Machine& machine);
Findings check_gradients(const Machine& machine);
Findings check_disk(const Machine& machine);
Findings check_cluster(const Machine& machine);

// The CPU, and the CUDA device that would be used, if there is one.
std::vector<at::Device> devices();
std::string device_name(at::Device device);  // "cpu", "cuda"

}  // namespace ddro::doctor
