// The ranks of a run over LibTorch's c10d.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "ddro/dist/communicator.h"
#include "ddro/dist/launch.h"
#include "dist/meeting.h"

namespace ddro::dist {

struct GroupOptions {
  at::Device device = at::kCPU;  // of this rank
  bool nccl = false;             // for tensors on CUDA devices; all else goes over Gloo
  std::chrono::seconds timeout;  // an exchange that takes longer has failed
};

// Returns once all ranks are connected. The meeting outlives the group.
std::unique_ptr<Communicator> make_group(const Launch& launch, Meeting& meeting, const GroupOptions& options);

// The last exchanges of this process as c10d's Flight Recorder has them (JSON), which are done and which
// under way; swaps are not among them.
std::string recorded_exchanges(bool with_nccl);

}  // namespace ddro::dist
