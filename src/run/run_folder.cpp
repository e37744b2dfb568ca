#include "run/run_folder.h"

#include "ddro/base/files.h"
#include "ddro/run/version.h"
#include "run/start_model.h"

namespace ddro::run {

namespace {

// Whether the evaluations that are logged end the run after `step` steps.
bool stops_early(const LoadedRun& run, std::int64_t step) {
  return run.best_metric && read_best_evaluation(run, step, dist::alone()).ends_run();
}

Json best_record(const BestEvaluation& best) {
  return {{"metric", best.metric().name}, {"value", best.value()}, {"step", best.step()}};
}

}  // namespace

bool RunFolder::is_finished(std::int64_t newest_step) const {
  if (!record_.is_object() || record_.value("finished_step", Json()) != newest_step ||
      !models::is_model_folder(run_.output("final")) ||
      (newest_step < run_.total_steps && !stops_early(run_, newest_step))) {
    return false;
  }
  check_is_same_run(record_.value("run", Json::object()), identity_);
  return true;
}

void RunFolder::write_start() {
  write_file_atomic(run_.output("config.yaml"), config::dump_run_config(run_.config, /*with_help=*/false));
  const Json starts = record_.is_object() ? record_.value("starts", Json()) : Json();
  record_ = {{"version", version_text()},
             {"starts", starts.is_number_integer() ? starts.get<std::int64_t>() + 1 : 1},
             {"template_date", run_.now},
             {"reference", describe_reference(run_)},
             {"run", identity_},
             {"finished_step", nullptr}};
  write_record();
  std::vector<std::pair<std::string, std::vector<data::DroppedRow>>> dropped{
      {run_.train.name, run_.train.dataset.dropped}};
  for (const RunSet& set : run_.eval_sets) dropped.emplace_back(set.name, set.dataset.dropped);
  data::write_dropped_rows(run_.output("dropped.jsonl").string(), dropped);
}

void RunFolder::write_end(std::int64_t step, const BestEvaluation* best, double seconds) {
  record_["finished_step"] = step;
  if (best && best->exists()) record_["best"] = best_record(*best);
  if (step < run_.total_steps) record_["stopped_early"] = best->why_it_ends();
  record_["train_runtime"] = seconds;
  write_record();
}

void RunFolder::write_record() const { write_file_atomic(run_.output("run.json"), record_.dump(1) + "\n"); }

}  // namespace ddro::run
