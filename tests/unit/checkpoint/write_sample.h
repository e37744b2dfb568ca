// A small checkpoint whose content follows from its step.
#pragma once

#include <filesystem>

#include "ddro/checkpoint/checkpoint.h"

namespace ddro::checkpoint {

NamedTensors sample_tensors(std::int64_t step);
std::filesystem::path write_sample(const std::filesystem::path& folder, std::int64_t step);

}  // namespace ddro::checkpoint
