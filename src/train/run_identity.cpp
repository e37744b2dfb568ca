#include "ddro/train/run_identity.h"

#include "ddro/base/log.h"

namespace ddro::train {
namespace {

enum class OnChange {
  kAllowable,  // refused unless --allow-change names it
  kRefuse,     // the order of samples would change
  kWarn,       // bits may differ
  kLog,
};

OnChange on_change(const std::string& name) {
  if (allowable_changes().contains(name)) return OnChange::kAllowable;
  for (const char* order : {"seed", "train_batch_size", "max_length"}) {
    if (name == order) return OnChange::kRefuse;
  }
  for (const char* bits : {"libtorch", "device", "dtype", "threads", "reference_log_probs", "moment_dtype"}) {
    if (name == bits) return OnChange::kWarn;
  }
  return OnChange::kLog;
}

}  // namespace

const std::set<std::string>& allowable_changes() {
  static const std::set<std::string> names = {"data",       "tokenizer", "template",
                                              "base_model", "loss",      "reference"};
  return names;
}

void check_identity(const RunIdentity& stored, const RunIdentity& current,
                    const std::set<std::string>& allowed) {
  for (const auto& [name, value] : current.items()) {
    const Json before = stored.contains(name) ? stored.at(name) : Json(nullptr);
    if (before == value) continue;
    const std::string change =
        name + ": " + printable(before.dump(), 200) + " -> " + printable(value.dump(), 200);
    switch (on_change(name)) {
      case OnChange::kAllowable:
        if (!allowed.contains(name)) {
          throw input_error("[resume] the run's " + name + " has changed since the checkpoint (" + change +
                            "); give --allow-change=" + name +
                            " to go on with it, or use another train.output_dir");
        }
        log_warning("resuming with a changed " + change);
        break;
      case OnChange::kRefuse:
        throw input_error("[resume] " + change +
                          " would change the order of samples; keep it, or use another train.output_dir");
      case OnChange::kWarn:
        log_warning("resuming with " + change + ": the same run, but bits may differ");
        break;
      case OnChange::kLog:
        log_info("resuming with " + change);
        break;
    }
  }
}

}  // namespace ddro::train
