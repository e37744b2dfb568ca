#include <ATen/Version.h>
#include <cuda_runtime_api.h>

#include "ddro/run/setup.h"
#include "ddro/run/version.h"
#include "doctor/checks.h"

namespace ddro::doctor {
namespace {

Finding libtorch(const Machine& machine) {
  const std::string loaded = run::libtorch_text(machine.loaded_libtorch);
  const std::string built = run::libtorch_text(machine.built_libtorch);
  Finding finding = {"libtorch", Status::kOk, loaded + ", as built against", loaded};
  if (loaded != built) {
    finding.status = Status::kFailed;
    finding.text = "got " + loaded + ", expected " + built;
    finding.hint = "install torch==" + built;
  }
  return finding;
}

std::string cuda_version(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Finding driver() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0)
    return {"driver", Status::kSkipped, run::why_no_gpu()};
  return {"driver", Status::kOk, "for CUDA " + cuda_version(version) + " and older", cuda_version(version)};
}

}  // namespace

Findings check_versions(const Machine& machine) {
  const std::string libraries = "MKL " + at::get_mkl_version() + "; " + at::get_mkldnn_version();
  return {{"program", Status::kOk, run::version_text(), run::version_text()},
          libtorch(machine),
          {"cpu_libraries", Status::kOk, libraries, libraries},
          {"cuda", Status::kOk, cuda_version(CUDART_VERSION), cuda_version(CUDART_VERSION)},
          driver()};
}

}  // namespace ddro::doctor
