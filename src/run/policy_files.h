// The policy in a folder: a Hugging Face folder of all weights, or a PEFT folder of the adapter that is
// trained.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// The file of what is trained, or where there are several their names' beginning: "model", "adapter_model".
std::string weights_stem(const LoadedRun& run);
std::map<std::string, std::string> weights_metadata(const LoadedRun& run);

// Every other file. `weights`: what is trained.
std::vector<models::FolderFile> policy_files(const LoadedRun& run, const NamedTensors& weights);

}  // namespace ddro::run
