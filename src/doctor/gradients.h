#pragma once

#include <string>

#include "ddro/base/tensor_io.h"
#include "ddro/doctor/finding.h"

namespace ddro::doctor {

// The tensor whose error is the largest share of its norm; both lists in one order. Not a number is an error.
Finding compare_gradients(const std::string& name, const NamedTensors& got, const NamedTensors& exact,
                          double tolerance);

}  // namespace ddro::doctor
