#pragma once

#include "ddro/doctor/speed.h"
#include "ddro/models/model_spec.h"

namespace ddro::doctor {

// SmolLM2-135M, Llama-3.2-1B, Llama-3.1-8B.
models::ModelSpec spec_of(Shape shape);

}  // namespace ddro::doctor
