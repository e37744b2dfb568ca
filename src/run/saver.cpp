#include "run/saver.h"

#include <algorithm>

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/base/progress.h"
#include "ddro/dist/together.h"
#include "ddro/run/model_card.h"
#include "ddro/run/plan.h"
#include "ddro/run/setup.h"
#include "ddro/train/finite.h"
#include "run/policy_files.h"

namespace ddro::run {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMaxFailedSaves = 3;

RunState read_place(const checkpoint::Checkpoint& from, std::int64_t steps_per_epoch) {
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

// The same, each looked at before it is written; `noted` outlives them.
TensorSources checked(TensorSources sources, const train::Checksums& noted, std::int64_t step) {
  for (TensorSource& source : sources) {
    source.fetch = [name = source.name, fetch = std::move(source.fetch), &noted, step] {
      const Tensor tensor = fetch();
      train::check_unchanged(noted, name, tensor, step);
      if (train::is_finite(name, tensor)) return tensor;
      throw Error(ErrorKind::kNonFinite,
                  "[train] step " + std::to_string(step) + ": tensor \"" + name +
                      "\" holds values that are not finite; not saved, the last checkpoint is kept");
    };
  }
  return sources;
}

// Weights, then moments.
train::StateTensors whole_state(const train::Parameters& parameters, const train::Optimizer& optimizer) {
  train::StateTensors all = parameters.state();
  for (train::StateTensor& tensor : optimizer.state()) all.push_back(std::move(tensor));
  return all;
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
  state = read_place(from, run_.steps_per_epoch);
  parameters.load_masters(read_state(from.path, weights_stem(run_)), where);
  optimizer.load(read_state(from.path, "optimizer"), where);
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

NamedTensors Saver::saved_weights() const { return read_state(saved_path_, weights_stem(run_)); }

bool Saver::is_due(const RunState& state, bool is_last) const {
  if (state.step == attempted_step_ || state.step == saved_step_ || state.step == 0) return false;
  const checkpoint::CheckpointOptions& options = run_.config.checkpoint;
  return is_last || state.is_at(options.save_strategy, options.save_steps);
}

Saver::Content Saver::content(const train::Parameters& parameters, const train::Optimizer& optimizer,
                              const RunState& state) const {
  Content content{.files = state_files(run_, parameters, optimizer),
                  .lend = {},
                  .masters = parameters.masters(),
                  .state = state,
                  .card = model_card(run_, state.step, metrics_.last_evaluation_line()),
                  .noted = state.step == noted_step_ ? noted_ : train::Checksums(),
                  .begin = Clock::now()};
  content.lend = [&ranks = *run_.ranks, files = content.files](const Use& use) {
    lend_whole(files, ranks, use);
  };
  return content;
}

void Saver::save(const train::Parameters& parameters, const train::Optimizer& optimizer,
                 const RunState& state) {
  wait();
  write(content(parameters, optimizer, state));
}

void Saver::note(const train::Parameters& parameters, const train::Optimizer& optimizer, std::int64_t step) {
  noted_ = train::checksums(whole_state(parameters, optimizer), *run_.ranks);
  noted_step_ = step;
}

void Saver::save_due(const train::Parameters& parameters, const train::Optimizer& optimizer,
                     const RunState& state, bool is_last) {
  const Clock::time_point begin = Clock::now();
  wait();
  attempted_step_ = state.step;
  Content due = content(parameters, optimizer, state);
  const bool goes_on = run_.config.checkpoint.async_save && !is_last;
  const std::string lacking = goes_on ? lack_of_room(due.files) : "";
  if (!lacking.empty()) {
    log_warning("[checkpoint.async_save] " + lacking + "; the steps wait while this checkpoint is written");
  }
  if (goes_on && lacking.empty()) {
    copy(due);
    due.waited_s = std::chrono::duration<double>(due.begin - begin).count();
    // Deferred where no thread can be had.
    writing_ = std::async(std::launch::async | std::launch::deferred, &Saver::write, this, std::move(due));
    return;
  }
  try {
    write(due);
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

// Those of one machine share its memory.
std::string Saver::lack_of_room(const std::vector<StateFiles>& files) {
  if (has_room_) return "";
  double needed = 0;
  for (const StateFiles& each : files) {
    for (const TensorSource& tensor : each.of(run_.ranks->rank()))
      needed += static_cast<double>(tensor.nbytes());
  }
  const double there = free_memory(at::kCPU) / run_.ranks_here;
  const auto rooms = run_.ranks->all_gather(std::vector{needed, there});
  const auto lacking = std::ranges::find_if(rooms, [](const auto& room) { return room[0] > room[1]; });
  has_room_ = lacking == rooms.end();
  if (has_room_) return "";
  return "a copy of " + gigabytes((*lacking)[0]) + " does not fit in the " + gigabytes((*lacking)[1]) +
         " of memory that are left";
}

void Saver::prepare(const train::Parameters& parameters, const train::Optimizer& optimizer) {
  if (!run_.config.checkpoint.async_save || !saves_between(run_)) return;
  const std::vector<StateFiles> files = state_files(run_, parameters, optimizer);
  if (!lack_of_room(files).empty()) return;  // said when a checkpoint is due
  preparing_ = std::async(std::launch::async | std::launch::deferred, [this, files] {
    for (size_t file = 0; file < files.size(); ++file)
      copies_[file].make_room(files[file].of(run_.ranks->rank()), run_.device);
  });
}

void Saver::copy(Content& content) {
  if (preparing_.valid()) preparing_.get();
  auto copies = std::make_shared<std::vector<NamedTensors>>();
  content.lend([&](const std::vector<TensorSources>& files) {
    for (size_t i = 0; i < files.size(); ++i) copies->push_back(copies_[i].take(files[i]));
  });
  content.lend = [copies](const Use& use) {
    std::vector<TensorSources> files;
    for (const NamedTensors& copy : *copies) files.push_back(sources_of(copy));
    use(files);
  };
  content.begin = Clock::now();
}

// Also beside the steps: of the run it reads what no step changes.
void Saver::write(const Content& content) {
  const std::int64_t step = content.state.step;
  std::optional<checkpoint::CheckpointWriter> writer;  // of the first rank
  const auto begin = [&] {
    if (run_.ranks->is_first()) writer.emplace(folder(), step);
    return std::string();
  };
  dist::together(*run_.ranks, begin);
  const std::vector<std::string> parts = dist::together(*run_.ranks, [&] {
    checkpoint::CheckpointPart part(folder(), step);
    add_tensors(part, content);
    return part.files().dump();
  });
  dist::together(*run_.ranks, [&] {
    for (const std::string& files : parts) {
      if (writer) writer->include(Json::parse(files));
    }
    if (writer) commit(*writer, content);
    return std::string();
  });
}

void Saver::add_tensors(checkpoint::CheckpointPart& part, const Content& content) const {
  content.lend([&](const std::vector<TensorSources>& files) {
    for (size_t i = 0; i < files.size(); ++i) {
      if (files[i].empty()) continue;
      part.add_tensors(content.files[i].name(run_.ranks->rank()),
                       checked(files[i], content.noted, content.state.step), content.files[i].metadata);
    }
  });
}

void Saver::commit(checkpoint::CheckpointWriter& writer, const Content& content) {
  const StateFiles& weights = content.files.front();
  if (weights.count() > 1) writer.add_text(weights.stem + ".safetensors.index.json", index_text(weights));
  writer.add_text("trainer.json", content.state.to_json().dump(1) + "\n");
  for (const models::FolderFile& file : policy_files(run_, content.masters))
    writer.add_text(file.name, file.content);
  writer.add_text("README.md", content.card);
  saved_path_ = writer.commit({{"run", identity_}});
  saved_step_ = content.state.step;
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
