// What a written folder's weights are.
#pragma once

#include "ddro/models/model_folder.h"

namespace ddro::models {

at::ScalarType exported_type(ExportDType dtype, at::ScalarType kept);

}  // namespace ddro::models
