// What a written folder's weights are.
#pragma once

#include "ddro/models/model_folder.h"

namespace ddro::models {

at::ScalarType exported_type(ExportDType dtype, at::ScalarType kept);

// A tensor as a file gets it.
Tensor exported(const Tensor& tensor, ExportDType dtype);

}  // namespace ddro::models
