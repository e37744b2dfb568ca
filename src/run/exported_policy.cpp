#include "run/exported_policy.h"

#include "ddro/base/files.h"
#include "ddro/run/model_card.h"
#include "ddro/run/setup.h"
#include "run/start_model.h"

namespace ddro::run {
namespace {

bool is_merged(const LoadedRun& run) {
  return run.adapter && run.config.final_model.adapter == models::AdapterExport::kMerged;
}

models::ExportDType export_dtype(const LoadedRun& run) {
  switch (run.config.final_model.dtype) {
    case models::ExportType::kFloat32:
      return models::ExportDType::kFloat32;
    case models::ExportType::kBFloat16:
      return models::ExportDType::kBFloat16;
    case models::ExportType::kFloat16:
      return models::ExportDType::kFloat16;
    case models::ExportType::kAuto:
      break;
  }
  // A float64 run is one for tests; its masters are kept as they are. So are an adapter's, as PEFT does: they
  // are small, and become what was computed with when they are read.
  return run.dtype == at::kBFloat16 && !leaves_adapter(run) ? models::ExportDType::kBFloat16
                                                            : models::ExportDType::kKeep;
}

// Of an adapter.
NamedTensors all_fetched(const TensorSources& sources) {
  NamedTensors tensors;
  for (const TensorSource& source : sources) tensors.emplace_back(source.name, source.fetch().to(at::kCPU));
  return tensors;
}

TensorSources merged_sources(const LoadedRun& run, const TensorSources& weights) {
  return models::merged_sources(run.base_model.spec, run.base_model.tensors, run.adapter->spec,
                                all_fetched(weights), run.dtype == at::kDouble ? at::kDouble : at::kFloat);
}

bool is_rounded(const LoadedRun& run, at::ScalarType stored) {
  const auto bytes = at::elementSize(stored);
  return bytes < at::elementSize(run.dtype) || (is_merged(run) && bytes < at::elementSize(at::kFloat));
}

// The adapter in `path` on the base that is there already.
models::ModelFolder on_own_base(const LoadedRun& run, const std::filesystem::path& path,
                                const models::CausalLm& policy) {
  models::ModelFolder folder = run.base_model;
  folder.tensors = base_tensors(run, &policy);
  folder.adapter = models::read_adapter(path, folder.spec, folder.base_hash);
  folder.adapter_path = path;
  return folder;
}

}  // namespace

bool leaves_adapter(const LoadedRun& run) { return run.adapter && !is_merged(run); }

void remove_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    throw save_error("[" + printable(path.string(), 400) + "] cannot be removed: " + error.message());
}

void export_policy(const LoadedRun& run, const TensorSources& weights, const std::string& card,
                   const std::filesystem::path& out) {
  remove_folder(out);
  models::ExportOptions options = run.export_options();
  options.dtype = export_dtype(run);
  options.model_card = is_merged(run) ? merged_card(card) : card;
  if (!run.adapter) {
    models::export_model_folder(run.base_model.path, weights, options, out);
  } else if (is_merged(run)) {
    models::export_model_folder(run.base_model.path, merged_sources(run, weights), options, out);
  } else {
    models::export_adapter_folder(run.base_model, *run.adapter, all_fetched(weights), options, out);
  }
}

ExportedPolicy read_exported(const LoadedRun& run, const std::filesystem::path& path,
                             const models::CausalLm& policy) {
  const models::ModelFolder folder =
      leaves_adapter(run) ? on_own_base(run, path, policy) : models::open_model_folder(path);
  const NamedTensors& tensors = folder.adapter ? folder.adapter->tensors : folder.tensors;
  const at::ScalarType stored = tensors.front().second.scalar_type();
  return {run.build_frozen(folder), stored, is_rounded(run, stored)};
}

std::string rounding_remark(const LoadedRun& run, const ExportedPolicy& exported, const std::string& name,
                            const std::string& cost) {
  return name + "/ is stored in " + dtype_label(exported.stored) + ", the run computed in " +
         dtype_label(run.dtype) + ": " + cost +
         (is_merged(run) ? "; export.dtype float32, or export.adapter separate, keeps what was measured"
                         : "; export.dtype auto keeps what was measured");
}

}  // namespace ddro::run
