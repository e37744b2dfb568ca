// A run's checkpoints, out and in.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>

#include "ddro/checkpoint/checkpoint.h"
#include "ddro/checkpoint/host_copy.h"
#include "ddro/run/loaded_run.h"
#include "ddro/train/checksums.h"
#include "ddro/train/optimizer.h"
#include "run/checkpoint_files.h"
#include "run/identity.h"
#include "run/metrics_log.h"
#include "run/run_state.h"

namespace ddro::run {

class Saver {
 public:
  // The run and its metrics outlive it; the newest evaluation of `metrics` goes into the cards of
  // checkpoints.
  Saver(const LoadedRun& run, const MetricsLog& metrics, RunIdentity identity);
  // Waits for what is being written.
  ~Saver();
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;

  // Weights, moments and place as `from` has them. Error(kModel) for files that do not fit the run.
  void restore(const checkpoint::Checkpoint& from, train::Parameters& parameters, train::Optimizer& optimizer,
               RunState& state);

  // Takes checksums of weights and moments as the update of `step` has left them; what is saved of that step
  // is compared with them. All ranks call it alike.
  void note(const train::Parameters& parameters, const train::Optimizer& optimizer, std::int64_t step);

  // Whether a checkpoint is due after state.step steps, which are the run's last or not.
  bool is_due(const RunState& state, bool is_last) const;
  // Each rank writes its files, whose tensors the others send it their parts of; the first what makes them a
  // checkpoint, on its disk when it returns on any. Error(kNonFinite) for weights or moments that are not
  // finite, Error(kInternal) for such that have changed since they were noted; Error(kSave). What one rank
  // meets is thrown on all.
  void save(const train::Parameters& parameters, const train::Optimizer& optimizer, const RunState& state);
  // Begins to get the memory for copies, where there is room and checkpoints are due before the last step. To
  // be called once, when the steps have the memory that they need.
  void prepare(const train::Parameters& parameters, const train::Optimizer& optimizer);
  // As save, of a checkpoint that is due. With checkpoint.async_save, room for a copy on all ranks and steps
  // to come, it returns with a copy made and the writing begun, after that of the checkpoint before has
  // ended. One that cannot be written is passed over with a warning, unless it is the run's last or the third
  // in a row.
  void save_due(const train::Parameters& parameters, const train::Optimizer& optimizer, const RunState& state,
                bool is_last);
  // Takes note of a checkpoint whose writing has ended, or waits until it has: the errors of save_due.
  void note_written();
  void wait();
  // Whether the first rank has, the same answer on all.
  bool has_saved(std::int64_t step) const { return run_.ranks->broadcast(step == saved_step_); }
  // Of the newest checkpoint, or -1, as the first rank knows.
  std::int64_t saved_step() const { return saved_step_; }
  // Of the newest checkpoint, read from the disk as they are used; of the first rank.
  NamedTensors saved_weights() const;

 private:
  using Use = std::function<void(const std::vector<TensorSources>&)>;
  struct Content {
    std::vector<StateFiles> files;
    std::function<void(const Use&)> lend;  // calls it with this rank's tensors of each file
    NamedTensors masters;                  // as they are trained on, for their type alone
    RunState state;
    std::string card;
    train::Checksums noted;
    std::chrono::steady_clock::time_point begin;
    std::optional<double> waited_s = std::nullopt;  // of the steps, where they go on meanwhile
  };

  std::filesystem::path folder() const { return run_.output("checkpoints"); }
  // Of the state as it is.
  Content content(const train::Parameters& parameters, const train::Optimizer& optimizer,
                  const RunState& state) const;
  // The same, with copies to lend.
  void copy(Content& content);
  // What is lacking for a copy on one of the ranks, or empty.
  std::string lack_of_room(const std::vector<StateFiles>& files);
  void write(const Content& content);
  void add_tensors(checkpoint::CheckpointPart& part, const Content& content) const;
  void commit(checkpoint::CheckpointWriter& writer, const Content& content);
  void count_failure(const Error& error, bool is_last);

  const LoadedRun& run_;
  const MetricsLog& metrics_;
  RunIdentity identity_;
  // What the first rank alone knows of the newest checkpoint.
  std::atomic<std::int64_t> saved_step_ = -1;
  std::filesystem::path saved_path_;

  std::int64_t attempted_step_ = -1;  // of the newest attempt to save
  std::int64_t noted_step_ = -1;
  train::Checksums noted_;  // of that step
  std::int64_t failed_saves_ = 0;
  bool has_room_ = false;                       // for the copies, whose memory is kept
  std::array<checkpoint::HostCopy, 2> copies_;  // of state_files
  std::future<void> preparing_;                 // the copies
  std::future<void> writing_;                   // the last member: its thread reads the others
};

}  // namespace ddro::run
