// The header of a model card: what the hub reads of it, in YAML.
#pragma once

#include <string>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// What loads a folder, as its card's library_name.
inline constexpr const char* kModelLibrary = "transformers";
inline constexpr const char* kAdapterLibrary = "peft";

// Between its two lines of dashes, a line a key. The licence is that of the base, if the base's own card says
// one; data sets are named where their files come from the hub.
std::string card_header(const LoadedRun& run);

// Name of the base on the hub, or the last component of its folder.
std::string base_name(const LoadedRun& run);

// "runs/base" as it is given, but "base" of "/home/someone/base" or "../base", and "org/name" of a folder of
// that repository in the hub's cache.
std::string public_name(const std::filesystem::path& path);

}  // namespace ddro::run
