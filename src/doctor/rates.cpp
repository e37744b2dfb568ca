#include "ddro/base/error.h"
#include "ddro/base/tensor_io.h"
#include "ddro/train/throughput.h"
#include "doctor/checks.h"

namespace ddro::doctor {

Findings check_rates(const Machine&) {
  Findings findings;
  for (const at::Device device : devices()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const std::string where = " " + device_name(device) + " " + dtype_label(dtype);
      const double products = train::measure_matmul_rate(device, dtype);
      findings.push_back(
          {"matmul_rate" + where, Status::kOk, printable(products / 1e9, "%.3g GFLOP/s"), products});
      const double copies = train::measure_copy_rate(device, dtype);
      findings.push_back({"copy_rate" + where, Status::kOk, printable(copies / 1e9, "%.3g GB/s"), copies});
    }
  }
  return findings;
}

}  // namespace ddro::doctor
