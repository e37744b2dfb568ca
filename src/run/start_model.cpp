#include "run/start_model.h"

#include "ddro/base/log.h"
#include "ddro/models/packed_base.h"
#include "run/fit_reference.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

void go_on_from_adapter(LoadedRun& run, const fs::path& adapter_path, const fs::path& base_path) {
  run.base_model = models::open_packed_adapter_folder(adapter_path, base_path);
  run.adapter = run.base_model.adapter;
  Json& config = run.adapter->config;
  config["base_model_name_or_path"] = models::recorded_name(run.config.model.model_name_or_path);
  config["inference_mode"] = true;
  const double dropout = models::parse_adapter_config(config, adapter_path.string()).lora_dropout;
  if (dropout == 0) return;
  log_warning("[" + printable(adapter_path.string(), 400) + "] was trained with lora_dropout " +
              printable(dropout) + "; it goes on without");
  config["lora_dropout"] = 0.0;
}

void make_new_adapter(LoadedRun& run, const fs::path& model_path) {
  if (run.base_model.adapter) {
    throw input_error(
        "[model.model_name_or_path] " + printable(model_path.string(), 400) +
        " is an adapter; give its base there, and it as adapter.adapter_name_or_path to go on from it");
  }
  const std::string base = run.fitted ? run.fitted->string() : run.config.model.model_name_or_path;
  run.adapter = models::make_adapter(run.config.adapter, run.base_model.spec, run.base_model.tensors,
                                     models::recorded_name(base),
                                     static_cast<std::uint64_t>(run.config.train.seed), run.dtype);
}

}  // namespace

void open_start_model(LoadedRun& run, const fs::path& model_path) {
  const models::AdapterOptions& adapter = run.config.adapter;
  if (adapter.adapter_name_or_path) {
    go_on_from_adapter(run, models::resolve_model_path(*adapter.adapter_name_or_path), model_path);
    return;
  }
  run.base_model =
      adapter.adapter_type ? models::open_packed_folder(model_path) : models::open_model_folder(model_path);
  if (adapter.adapter_type) {
    make_new_adapter(run, model_path);
  } else if (run.base_model.adapter) {
    run.base_model =
        models::merge_adapter(run.base_model, run.dtype == at::kDouble ? at::kDouble : at::kFloat);
  }
}

NamedTensors base_tensors(const LoadedRun& run, const models::CausalLm* model) {
  const bool lends = run.adapter && model && !model->weight_store();
  if (!lends) return run.base_model.tensors;
  NamedTensors tensors = model->parameters();
  std::erase_if(tensors, [](const auto& named) { return named.first.starts_with(models::kAdapterPrefix); });
  return tensors;
}

std::string describe_reference(const LoadedRun& run) {
  if (!run.objective->reads_reference()) return "none";
  if (run.reference_model) {
    const models::ModelFolder& folder = *run.reference_model;
    return (folder.adapter ? folder.adapter_path : folder.path).string();
  }
  if (awaits_fit(run)) return "to be fitted to the rows of both classes first";
  if (run.fitted)
    return "fitted to the rows of both classes, in " + std::string(kReferenceRun) + "/" +
           run.fitted->filename().string();
  if (!run.adapter) return "the policy's starting weights";
  return run.base_model.adapter ? "the base model with the adapter that the run starts from"
                                : "the base model, with the adapter off";
}

}  // namespace ddro::run
