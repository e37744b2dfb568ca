// The parts of an export that tests reach by themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "ddro/models/model_folder.h"

namespace ddro::models {

inline constexpr std::uint64_t kMaxShardBytes = 5'000'000'000;  // Hugging Face's default

// export_model_folder with another limit; a tensor above it is a shard of its own.
void export_model_folder(const std::filesystem::path& source_folder, const NamedTensors& tensors,
                         ExportDType dtype, const std::filesystem::path& out, std::uint64_t max_shard_bytes);

}  // namespace ddro::models
