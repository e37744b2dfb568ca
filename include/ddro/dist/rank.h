// This process among the ranks of a run, from the first meeting to the end of all.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "ddro/base/tensor.h"
#include "ddro/dist/communicator.h"
#include "ddro/dist/dist_options.h"
#include "ddro/dist/launch.h"

namespace ddro::dist {

class Meeting;

// Thrown in a rank where another has said why the run ends.
struct EndedByOther {
  int exit_code = 0;
};

class Rank {
 public:
  // Meets rank 0. Error(kInput) when the place to meet cannot be had, Error(kLost) when it does not answer.
  // From then on the process ends when another rank does, with its exit code; or when one is lost, with that
  // of ErrorKind::kLost.
  Rank(const Launch& launch, const DistributedOptions& options);
  ~Rank();

  // Runs `work`, in which the ranks come together. What it throws ends all of them: the first to fail throws
  // it on, the others throw EndedByOther.
  void run(const std::function<void()>& work);

  // To be called in `work`: waits until every rank is as far, however long that takes, and connects them;
  // from then on gives what connects them, whatever `device`. Error(kInput) for backend nccl where a rank has
  // no CUDA device. Tensors on `device` go over NCCL if every rank has one on CUDA and the backend allows it,
  // all else over Gloo.
  const Communicator& join(at::Device device);

  // After join(): where this rank writes which exchanges were done and which under way, as c10d's Flight
  // Recorder has them, should a rank be lost: `folder`/rank_<its number>.json.
  void keep_record_in(const std::filesystem::path& folder);

 private:
  void leave(int code);

  Launch launch_;
  DistributedOptions options_;
  std::unique_ptr<Meeting> meeting_;
  std::unique_ptr<Communicator> group_;  // uses the meeting
  bool uses_nccl_ = false;
};

}  // namespace ddro::dist
