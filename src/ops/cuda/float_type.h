// Element types of the kernels, for launchers that take untyped pointers.
#pragma once

namespace ddro::ops::cuda {

enum class FloatType { kFloat16, kBFloat16, kFloat32, kFloat64 };

}  // namespace ddro::ops::cuda
