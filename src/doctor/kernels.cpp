#include <c10/util/Exception.h>

#include "ddro/base/error.h"
#include "doctor/checks.h"
#include "doctor/kernel_cases.h"

namespace ddro::doctor {
namespace {

Finding try_compare(const KernelCase& kernel_case, at::Device device) {
  try {
    return compare(kernel_case, device);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return {"kernel " + kernel_case.name, Status::kFailed, printable(text.substr(0, text.find('\n')), 400)};
  }
}

}  // namespace

Findings check_kernels(const Machine&) {
  const at::Device device = devices().back();
  Findings findings;
  for (const KernelCase& kernel_case : kernel_cases()) {
    findings.push_back(device.is_cuda()
                           ? try_compare(kernel_case, device)
                           : Finding{"kernel " + kernel_case.name, Status::kSkipped, "no CUDA device"});
  }
  return findings;
}

}  // namespace ddro::doctor
