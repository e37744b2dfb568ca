#include "ddro/report/status.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <string_view>

#include "ddro/base/file_lock.h"
#include "ddro/base/progress.h"
#include "ddro/report/run_history.h"
#include "report/liveness.h"
#include "report/run_values.h"

namespace ddro::report {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRecentSteps = 50;
// So many medians of a step without a line are worth a word.
constexpr double kLateSteps = 10;
constexpr double kLateSeconds = 60;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

RunHistory read_history(const fs::path& folder) {
  if (is_there(folder / "metrics.jsonl") || !is_there(folder / "run.json")) return read_run(folder);
  RunHistory run;
  run.name = name_of(folder);
  run.record = read_json_file((folder / "run.json").string(), ErrorKind::kInput);
  return run;
}

std::optional<std::int64_t> as_integer(const Json& value) {
  return value.is_number_integer() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

// step_000100 of a checkpoint that is whole.
std::optional<std::int64_t> step_of_checkpoint(const fs::path& path) {
  constexpr std::string_view kPrefix = "step_";
  const std::string name = path.filename().string();
  std::int64_t step = 0;
  if (!name.starts_with(kPrefix) || !is_there(path / "manifest.json")) return std::nullopt;
  const char* const end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  return error == std::errc() && rest == end ? std::optional(step) : std::nullopt;
}

std::optional<std::int64_t> newest_checkpoint(const fs::path& folder) {
  std::optional<std::int64_t> newest;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    newest = std::max(newest, step_of_checkpoint(entry->path()));
  }
  return newest;
}

// Files may come and go meanwhile.
std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error, ignored;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_regular_file(ignored) || entry->is_symlink(ignored)) continue;
    const std::uint64_t size = entry->file_size(ignored);
    if (!ignored) bytes += size;
  }
  return bytes;
}

std::optional<double> seconds_since(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  if (error) return std::nullopt;
  return std::max(0.0, std::chrono::duration<double>(fs::file_time_type::clock::now() - time).count());
}

std::optional<double> recent_median(const RunHistory& run, const std::string& metric) {
  std::vector<double> values = finite_values(run.train, metric);
  if (values.size() > kRecentSteps) values.erase(values.begin(), values.end() - kRecentSteps);
  return median(std::move(values));
}

std::vector<RunStatus::Evaluated> last_evaluations(const RunHistory& run) {
  std::vector<RunStatus::Evaluated> evaluated;
  for (const auto& [set, table] : run.eval) {
    const auto loss = table.find("loss");
    if (loss != table.end())
      evaluated.push_back({set, loss->second.steps.back(), loss->second.values.back()});
  }
  return evaluated;
}

void remark_on_silence(RunStatus& status) {
  if (status.state != RunState::kRunning || !status.step_seconds || !status.seconds_since_log) return;
  const double late = std::max(kLateSeconds, kLateSteps * *status.step_seconds);
  if (*status.seconds_since_log < late) return;
  status.remarks.push_back("nothing logged for " + format_duration(*status.seconds_since_log) +
                           ", and a step takes " + printable(*status.step_seconds, "%.3g") + " s: " +
                           (status.beat ? "it is at: " + enum_name(status.beat->phase)
                                        : "it evaluates, saves, exports, or hangs"));
}

std::string first_line(const RunStatus& status) {
  std::string line = status.name + ": " + enum_name(status.state);
  if (!status.holder.empty()) line += ", " + status.holder;
  return line;
}

std::string beat_line(const Beat& beat, double age) {
  return "heartbeat of process " + std::to_string(beat.process) + " on " + beat.host + " " +
         format_duration(std::fabs(age)) + (age < 0 ? " ahead of this clock" : " ago") + ", at step " +
         std::to_string(beat.step) + ": " + enum_name(beat.phase);
}

Json beat_json(const Beat& beat, double age) {
  return {{"process", beat.process},
          {"host", beat.host},
          {"phase", enum_name(beat.phase)},
          {"step", beat.step},
          {"seconds_ago", age}};
}

std::string progress_line(const RunStatus& status) {
  std::string line = "step " + std::to_string(status.step);
  if (status.total_steps) line += " of " + std::to_string(*status.total_steps);
  if (status.step_seconds) line += ", " + printable(*status.step_seconds, "%.3g") + " s a step";
  if (status.tokens_per_second) line += ", " + printable(*status.tokens_per_second, "%.4g") + " tokens/s";
  if (status.seconds_left) line += ", " + format_duration(*status.seconds_left) + " left for the steps";
  return line;
}

std::string storage_line(const RunStatus& status) {
  std::string line = status.newest_checkpoint
                         ? "newest checkpoint: step " + std::to_string(*status.newest_checkpoint)
                         : "no checkpoint";
  line += ", folder " + gigabytes(static_cast<double>(status.folder_bytes)) + ", " +
          gigabytes(static_cast<double>(status.free_bytes)) + " free";
  if (status.starts)
    line += ", started " + std::to_string(*status.starts) + (*status.starts == 1 ? " time" : " times");
  return line;
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// A process removes its heartbeat before it leaves the lock: the heartbeat is read first.
void read_life(const fs::path& folder, const RunHistory& run, RunStatus& status) {
  LifeSigns signs{.is_finished = !field(run, "finished_step").is_null(),
                  .beat = read_beat(folder / "heartbeat.json"),
                  .host = host_name(),
                  .now = seconds_since_1970()};
  const auto holder = FileLock::holder_of(folder / ".lock");
  signs.is_held = holder.has_value();
  status.holder = holder.value_or("");
  status.state = state_of(signs);
  status.step = last_step(run);
  if (!signs.beat) return;
  status.beat = signs.beat;
  status.seconds_since_beat = signs.now - signs.beat->time;
  if (status.state == RunState::kRunning) status.step = std::max(status.step, signs.beat->step);
}

// Before a run begins, the run that fits its reference does.
fs::path begun_run(const fs::path& folder) {
  const fs::path fit = folder / "reference";
  return is_there(folder / "run.json") || !is_there(fit / "run.json") ? folder : fit;
}

}  // namespace

std::string RunStatus::describe() const {
  std::string text = first_line(*this) + "\n  " + progress_line(*this);
  if (beat) text += "\n  " + beat_line(*beat, seconds_since_beat);
  for (const Evaluated& each : evaluated) {
    text += "\n  " + printable(each.set) + " at step " + std::to_string(each.step) + ": loss " +
            printable(each.loss, "%.4f");
  }
  text += "\n  " + storage_line(*this);
  for (const std::string& remark : remarks) text += "\n  " + remark;
  return text;
}

Json RunStatus::to_json() const {
  Json losses = Json::object();
  for (const Evaluated& each : evaluated) losses[each.set] = {{"step", each.step}, {"loss", each.loss}};
  return {{"run", name},
          {"state", enum_name(state)},
          {"holder", holder.empty() ? Json(nullptr) : Json(holder)},
          {"heartbeat", beat ? beat_json(*beat, seconds_since_beat) : Json(nullptr)},
          {"step", step},
          {"total_steps", or_null(total_steps)},
          {"starts", or_null(starts)},
          {"step_seconds", or_null(step_seconds)},
          {"tokens_per_second", or_null(tokens_per_second)},
          {"seconds_left", or_null(seconds_left)},
          {"seconds_since_log", or_null(seconds_since_log)},
          {"newest_checkpoint", or_null(newest_checkpoint)},
          {"folder_bytes", folder_bytes},
          {"free_bytes", free_bytes},
          {"evaluated", losses},
          {"remarks", remarks}};
}

RunStatus read_status(const fs::path& given) {
  const fs::path folder = begun_run(given);
  const RunHistory run = read_history(folder);
  RunStatus status;
  status.name = name_of(given);
  read_life(folder, run, status);
  status.total_steps = as_integer(identity_field(run, "total_steps"));
  status.starts = as_integer(field(run, "starts"));
  status.step_seconds = recent_median(run, "step_time_s");
  status.tokens_per_second = recent_median(run, "tokens_per_second");
  if (status.step_seconds && status.total_steps && status.state != RunState::kFinished)
    status.seconds_left = *status.step_seconds *
                          static_cast<double>(std::max<std::int64_t>(0, *status.total_steps - status.step));
  status.seconds_since_log = seconds_since(folder / "metrics.jsonl");
  status.newest_checkpoint = newest_checkpoint(folder / "checkpoints");
  status.folder_bytes = bytes_below(folder);
  std::error_code ignored;
  status.free_bytes = fs::space(folder, ignored).available;
  status.evaluated = last_evaluations(run);
  status.remarks = run.remarks;
  if (folder != given)
    status.remarks.push_back("this is the fit of its reference; the run itself comes then");
  remark_on_silence(status);
  return status;
}

}  // namespace ddro::report
