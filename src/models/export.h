// What a written folder's weights are.
#pragma once

#include <string>

#include "ddro/models/model_folder.h"

namespace ddro::models {

at::ScalarType exported_type(ExportDType dtype, at::ScalarType kept);

// The tensor `name` as a file gets it. Error(kModel) where float16 does not hold its numbers.
Tensor exported(const std::string& name, const Tensor& tensor, ExportDType dtype);

}  // namespace ddro::models
