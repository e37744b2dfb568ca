#include "ddro/ops/repeatable.h"

#include <ATen/Context.h>

#include <cstdlib>

namespace ddro::ops {

void require_repeatable(at::Device device) {
  if (!device.is_cuda()) return;
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // what LibTorch demands of cuBLAS
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // nothing here reads any
}

}  // namespace ddro::ops
