#include "run/resume.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

void refuse_existing_run(const fs::path& output_dir) {
  std::error_code ignored;
  for (const char* trace : {"checkpoints", "final", "metrics.jsonl"}) {
    if (fs::exists(output_dir / trace, ignored)) {
      throw input_error("[train.output_dir] " + output_dir.string() + " holds a run (" + trace +
                        "); --resume never needs another folder");
    }
  }
}

// Hugging Face's Trainer leaves checkpoint-N folders with a state of its own.
void refuse_foreign(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path / "manifest.json", ignored)) return;
  for (const char* trace : {"trainer_state.json", "optimizer.pt", "training_args.bin", "scheduler.pt"}) {
    if (fs::exists(path / trace, ignored)) {
      throw input_error("[--resume] " + printable(path.string(), 400) +
                        " is a checkpoint of Hugging Face's Trainer (" + trace +
                        "), whose optimizer state ddro-train cannot go on with; to start from its weights, "
                        "give the folder as model.model_name_or_path");
    }
  }
}

}  // namespace

std::optional<checkpoint::Checkpoint> find_checkpoint(const std::string& resume, const LoadedRun& run) {
  if (resume == "never") {
    refuse_existing_run(run.config.train.output_dir);
    return std::nullopt;
  }
  if (resume == "auto") return checkpoint::newest_checkpoint(run.output("checkpoints"));
  refuse_foreign(resume);
  return checkpoint::open_checkpoint(resume);
}

void check_checkpoint(const checkpoint::Checkpoint& from, const LoadedRun& run, const RunIdentity& identity,
                      const std::set<std::string>& allowed) {
  const auto stored = from.manifest.find("run");
  if (stored == from.manifest.end() || !stored->is_object()) {
    throw model_error("[" + from.path.string() + "/manifest.json] does not say which run it is of");
  }
  check_can_resume(*stored, identity, allowed);
  if (from.step > run.total_steps) {
    throw input_error("[resume] " + from.path.string() + " is of step " + std::to_string(from.step) +
                      ", the run now ends at step " + std::to_string(run.total_steps) +
                      "; raise train.max_steps or train.num_train_epochs, give an earlier checkpoint by "
                      "--resume, or use another train.output_dir");
  }
}

}  // namespace ddro::run
