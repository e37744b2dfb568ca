#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/cuda/CUDAException.h>
#include <cuda_runtime_api.h>
#include <torch/cuda.h>

#include "ddro/base/error.h"
#include "ddro/base/progress.h"
#include "ddro/run/setup.h"
#include "doctor/checks.h"

namespace ddro::doctor {
namespace {

Finding no_device(const Machine& machine) {
  Finding finding = {"device", Status::kSkipped, "no CUDA device: " + run::why_no_gpu()};
  const auto visible = machine.facts.variable("CUDA_VISIBLE_DEVICES");
  std::error_code ignored;
  if (visible && !visible->empty() && *visible != "-1") {
    finding.status = Status::kFailed;
    finding.hint = "CUDA_VISIBLE_DEVICES asks for one: install the driver, or unset it to train on the CPU";
  } else if (std::filesystem::exists(machine.facts.root / "dev/nvidia0", ignored)) {
    finding.status = Status::kWarning;
    finding.hint = "the machine has one (/dev/nvidia0): install a driver for this version of CUDA";
  }
  return finding;
}

Finding describe(int index) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
  size_t free_bytes = 0, total_bytes = 0;
  C10_CUDA_CHECK(cudaSetDevice(index));
  C10_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
  const std::string capability = std::to_string(properties->major) + "." + std::to_string(properties->minor);
  return {"device " + std::to_string(index),
          Status::kOk,
          std::string(properties->name) + ", capability " + capability + ", " +
              gigabytes(static_cast<double>(free_bytes)) + " of " +
              gigabytes(static_cast<double>(total_bytes)) + " free",
          {{"name", std::string(properties->name)},
           {"capability", capability},
           {"total_bytes", total_bytes},
           {"free_bytes", free_bytes}}};
}

// The settings take effect with the first allocation.
Finding allocator(at::Device device) {
  Finding finding = {"allocator", Status::kOk, "gives memory under its settings"};
  try {
    at::empty({1 << 20}, at::TensorOptions(device)).fill_(1);
    torch::cuda::synchronize(device.index());
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    finding.status = Status::kFailed;
    finding.text = printable(text.substr(0, text.find('\n')), 400);
    finding.hint = "try PYTORCH_ALLOC_CONF=expandable_segments:False, and see who else uses the device";
  }
  return finding;
}

}  // namespace

Findings check_devices(const Machine& machine) {
  if (!torch::cuda::is_available())
    return {no_device(machine), {"allocator", Status::kSkipped, "no CUDA device"}};
  const at::Device used = run::default_device();
  Findings findings;
  for (int index = 0; index < static_cast<int>(torch::cuda::device_count()); ++index)
    findings.push_back(describe(index));
  C10_CUDA_CHECK(cudaSetDevice(used.index()));
  findings.push_back(allocator(used));
  return findings;
}

}  // namespace ddro::doctor
