#include "ddro/ops/device_settings.h"

#include <ATen/Context.h>

namespace ddro::ops {

void apply_device_settings(at::Device device) {
  if (!device.is_cuda()) return;
  at::Context& context = at::globalContext();
  context.setSDPUseCuDNN(false);
  context.setAllowBF16ReductionCuBLAS(/*allow_reduced_precision=*/false);
  context.setAllowFP16ReductionCuBLAS(/*allow_reduced_precision=*/false);
}

}  // namespace ddro::ops
