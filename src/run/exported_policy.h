// The policy as a folder that other programs read, out and in.
#pragma once

#include <filesystem>
#include <memory>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

void remove_folder(const std::filesystem::path& path);  // Error(kSave) when it cannot be

// Whether that is a PEFT folder.
bool leaves_adapter(const LoadedRun& run);

// Writes a Hugging Face or PEFT folder in export.dtype to `out`, in place of what an earlier attempt left
// there. `weights`: what is trained, fetched once each; of a model no more than one is held at a time.
// `card`: its model_card. Error(kSave) on failure.
void export_policy(const LoadedRun& run, const TensorSources& weights, const std::string& card,
                   const std::filesystem::path& out);

struct ExportedPolicy {
  std::unique_ptr<models::CausalLm> model;  // computes as the run does
  at::ScalarType stored;
  // Whether what is stored says less than what was computed with: a narrower type, or low-rank factors that
  // are rounded into weights of two bytes.
  bool is_rounded;
};

// An adapter is read back on the base that the run's policy has.
ExportedPolicy read_exported(const LoadedRun& run, const std::filesystem::path& folder,
                             const models::CausalLm& policy);

// "best/ is stored in bfloat16, the run computed in float32: `cost`; export.dtype auto keeps what was
// measured"
std::string rounding_remark(const LoadedRun& run, const ExportedPolicy& exported, const std::string& name,
                            const std::string& cost);

}  // namespace ddro::run
