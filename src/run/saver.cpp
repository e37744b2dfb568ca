#include "run/saver.h"

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/base/progress.h"
#include "ddro/run/model_card.h"
#include "ddro/run/setup.h"
#include "ddro/train/finite.h"
#include "run/policy_files.h"

namespace ddro::run {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMaxFailedSaves = 3;

NamedTensors read_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  NamedTensors tensors;
  for (const auto& [name, view] : file.tensors())
    tensors.emplace_back(name, tensor_from_view(view, file.mapping()));
  return tensors;
}

RunState read_state(const checkpoint::Checkpoint& from, std::int64_t steps_per_epoch) {
  const std::string where = from.path.string();
  RunState state;
  try {
    state = RunState::from_json(read_json_file((from.path / "trainer.json").string(), ErrorKind::kModel));
  } catch (const Json::exception& error) {
    throw model_error("[" + where + "/trainer.json] is not a trainer's state: " + error.what());
  }
  const data::SamplerState& at = state.sampler;
  if (state.step != from.step || state.num_tokens < 0 || at.epoch < 0 || at.step_in_epoch < 0 ||
      at.step_in_epoch >= steps_per_epoch) {
    throw model_error("[" + where + "/trainer.json] does not fit this run: step " +
                      std::to_string(state.step) + ", epoch " + std::to_string(at.epoch) + ", step " +
                      std::to_string(at.step_in_epoch) + " of " + std::to_string(steps_per_epoch) +
                      " in it; the checkpoint is of step " + std::to_string(from.step));
  }
  return state;
}

// The same, each looked at before it is written.
TensorSources checked(TensorSources sources, std::int64_t step) {
  for (TensorSource& source : sources) {
    source.fetch = [name = source.name, fetch = std::move(source.fetch), step] {
      const Tensor tensor = fetch();
      if (train::is_finite(name, tensor)) return tensor;
      throw Error(ErrorKind::kNonFinite,
                  "[train] step " + std::to_string(step) + ": tensor \"" + name +
                      "\" holds values that are not finite; not saved, the last checkpoint is kept");
    };
  }
  return sources;
}

double bytes_of(const train::StateTensors& tensors) {
  double bytes = 0;
  for (const train::StateTensor& tensor : tensors) bytes += static_cast<double>(tensor.own.nbytes());
  return bytes;
}

}  // namespace

Saver::Saver(const LoadedRun& run, const MetricsLog& metrics, RunIdentity identity)
    : run_(run), metrics_(metrics), identity_(std::move(identity)) {}

Saver::~Saver() {
  try {
    wait();
  } catch (const std::exception& error) {
    log_warning(std::string("a checkpoint could not be saved: ") + error.what());
  }
}

void Saver::restore(const checkpoint::Checkpoint& from, train::Parameters& parameters,
                    train::Optimizer& optimizer, RunState& state) {
  const std::string where = from.path.string();
  state = read_state(from, run_.steps_per_epoch);
  parameters.load_masters(read_tensors(from.path / weights_file(run_)), where);
  optimizer.load(read_tensors(from.path / "optimizer.safetensors"), where);
  std::error_code ignored;
  const bool is_ours = std::filesystem::equivalent(from.path.parent_path(), folder(), ignored);
  saved_step_ = is_ours ? state.step : -1;
  saved_path_ = from.path;
  log_info("resuming from " + where + " after step " + std::to_string(state.step) + " of " +
           std::to_string(run_.total_steps));
  // Also what a killed run left half-written or half-removed there.
  if (run_.ranks->is_first())
    checkpoint::rotate_checkpoints(folder(), run_.config.checkpoint.save_total_limit);
}

NamedTensors Saver::saved_weights() const { return read_tensors(saved_path_ / weights_file(run_)); }

bool Saver::is_due(const RunState& state, bool is_last) const {
  if (state.step == attempted_step_ || state.step == saved_step_ || state.step == 0) return false;
  const checkpoint::CheckpointOptions& options = run_.config.checkpoint;
  return is_last || state.is_at(options.save_strategy, options.save_steps);
}

void Saver::save(const train::Parameters& parameters, const train::Optimizer& optimizer,
                 const RunState& state) {
  wait();
  lend_state(parameters, optimizer, [&](const TensorSources& weights, const TensorSources& moments) {
    write({weights, moments, parameters.masters(), state, card(state), Clock::now()});
  });
}

void Saver::lend_state(const train::Parameters& parameters, const train::Optimizer& optimizer,
                       const UseOfState& use) const {
  train::StateTensors all = parameters.state();
  const auto num_weights = static_cast<std::ptrdiff_t>(all.size());
  for (train::StateTensor& tensor : optimizer.state()) all.push_back(std::move(tensor));
  train::lend_whole(all, *run_.ranks, [&](const TensorSources& sources) {
    use({sources.begin(), sources.begin() + num_weights}, {sources.begin() + num_weights, sources.end()});
  });
}

void Saver::save_due(const train::Parameters& parameters, const train::Optimizer& optimizer,
                     const RunState& state, bool is_last) {
  const Clock::time_point begin = Clock::now();
  wait();
  attempted_step_ = state.step;
  const bool goes_on = run_.config.checkpoint.async_save && !parameters.is_sharded() && !is_last;
  if (goes_on && run_.ranks->is_first() && has_room_for_copy(parameters, optimizer)) {
    // Deferred where no thread can be had.
    writing_ = std::async(std::launch::async | std::launch::deferred, &Saver::write, this,
                          copy_of(parameters, optimizer, state, begin));
    return;
  }
  try {
    save(parameters, optimizer, state);
    failed_saves_ = 0;
  } catch (const Error& error) {
    count_failure(error, is_last);
  }
}

void Saver::note_written() {
  if (writing_.valid() && writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) wait();
}

void Saver::wait() {
  if (!writing_.valid()) return;
  try {
    writing_.get();
    failed_saves_ = 0;
  } catch (const Error& error) {
    count_failure(error, /*is_last=*/false);  // which is not written beside the steps
  }
}

// The memory of an earlier copy is kept.
bool Saver::has_room_for_copy(const train::Parameters& parameters, const train::Optimizer& optimizer) {
  if (has_copied_) return true;
  const double needed = bytes_of(parameters.state()) + bytes_of(optimizer.state());
  const double there = free_memory(at::kCPU);
  has_copied_ = needed <= there;
  if (!has_copied_) {
    log_warning("[checkpoint.async_save] a copy of " + gigabytes(needed) + " does not fit in the " +
                gigabytes(there) +
                " of memory that are left; the steps wait while this checkpoint is written");
  }
  return has_copied_;
}

Saver::Content Saver::copy_of(const train::Parameters& parameters, const train::Optimizer& optimizer,
                              const RunState& state, Clock::time_point begin) {
  Content content;
  lend_state(parameters, optimizer, [&](const TensorSources& weights, const TensorSources& moments) {
    content = {sources_of(weights_copy_.take(weights)),
               sources_of(optimizer_copy_.take(moments)),
               parameters.masters(),
               state,
               card(state),
               Clock::now()};
  });
  content.waited_s = std::chrono::duration<double>(content.begin - begin).count();
  return content;
}

std::string Saver::card(const RunState& state) const {
  return model_card(run_, state.step, metrics_.last_evaluation_line());
}

// Also beside the steps: of the run it reads what no step changes.
void Saver::write(const Content& content) {
  const std::int64_t step = content.state.step;
  checkpoint::CheckpointWriter writer(folder(), step);
  writer.add_tensors(weights_file(run_), checked(content.weights, step), weights_metadata(run_));
  writer.add_tensors("optimizer.safetensors", checked(content.optimizer, step));
  writer.add_text("trainer.json", content.state.to_json().dump(1) + "\n");
  for (const models::FolderFile& file : policy_files(run_, content.masters))
    writer.add_text(file.name, file.content);
  writer.add_text("README.md", content.card);
  saved_path_ = writer.commit({{"run", identity_}});
  saved_step_ = step;
  const double seconds = std::chrono::duration<double>(Clock::now() - content.begin).count();
  log_info("saved " + saved_path_.string() + " in " + printable(seconds, "%.2f s") +
           (content.waited_s ? ", the steps waited " + printable(*content.waited_s, "%.2f s") : ""));
  checkpoint::rotate_checkpoints(folder(), run_.config.checkpoint.save_total_limit);
}

// In the handler of `error`.
void Saver::count_failure(const Error& error, bool is_last) {
  const bool give_up = is_last || ++failed_saves_ >= kMaxFailedSaves;
  if (error.kind() != ErrorKind::kSave || give_up) throw;
  log_warning(std::string("a checkpoint could not be saved, the next is tried after the next interval: ") +
              error.what());
}

}  // namespace ddro::run
