// What a run starts from: base model, adapter, reference.
#pragma once

#include <filesystem>
#include <string>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

// Opens run.base_model, and run.adapter if one is trained. Without an `adapter` section a PEFT folder is
// trained as the model that it makes of its base. Error(kModel) for what cannot be read; Error(kInput) for an
// `adapter` section that does not fit.
void open_start_model(LoadedRun& run, const std::filesystem::path& model_path);

// The weights of the run's base: under an adapter those of a model on the same base, if there is one and it
// has more than parts of them, so that they are in memory once.
NamedTensors base_tensors(const LoadedRun& run, const models::CausalLm* model);

// What the reference is: "the base model, with the adapter off", "none", or a folder.
std::string describe_reference(const LoadedRun& run);

}  // namespace ddro::run
