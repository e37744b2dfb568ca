#include "run/policy_files.h"

namespace ddro::run {

std::string weights_stem(const LoadedRun& run) { return run.adapter ? "adapter_model" : "model"; }

std::map<std::string, std::string> weights_metadata(const LoadedRun& run) {
  if (!run.adapter) return {};
  return models::adapter_metadata(run.base_model.base_hash);
}

std::vector<models::FolderFile> policy_files(const LoadedRun& run, const NamedTensors& weights) {
  if (run.adapter) return models::adapter_files(run.base_model, *run.adapter, run.export_options());
  return models::inference_files(run.base_model.path, weights, run.export_options());
}

}  // namespace ddro::run
