#include "ddro/dist/rank.h"

#include <c10/util/Logging.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "dist/group.h"
#include "dist/meeting.h"

namespace ddro::dist {
namespace {

bool use_nccl(Backend backend, const std::vector<std::string>& devices) {
  const auto without = std::find(devices.begin(), devices.end(), "cpu");
  if (backend == Backend::kNccl && without != devices.end()) {
    throw input_error("[distributed.backend] nccl needs a CUDA device in every rank; rank " +
                      std::to_string(without - devices.begin()) + " has none; expected auto or gloo");
  }
  return backend != Backend::kGloo && without == devices.end();
}

// What c10d says of each try to connect, and of connections that break, with a trace, is one line here. Who
// sets the variable gets it all.
std::unique_ptr<Meeting> meet(const Launch& launch, std::chrono::seconds timeout) {
  setenv("TORCH_CPP_LOG_LEVEL", "ERROR", /*overwrite=*/0);
  c10::initLogging();
  return std::make_unique<Meeting>(launch, timeout);
}

}  // namespace

Rank::Rank(const Launch& launch, const DistributedOptions& options)
    : launch_(launch), options_(options), meeting_(meet(launch, std::chrono::seconds(options.timeout_s))) {}

Rank::~Rank() {
  group_.reset();
  if (meeting_->is_left_behind()) static_cast<void>(meeting_.release());
}

const Communicator& Rank::join(at::Device device) {
  if (group_) return *group_;
  const auto devices = meeting_->exchange(device.is_cuda() ? "cuda" : "cpu");
  uses_nccl_ = use_nccl(options_.backend, devices);
  group_ = make_group(launch_, *meeting_,
                      {.device = device,
                       .nccl = uses_nccl_,
                       .timeout = std::chrono::seconds(options_.timeout_s) - kTimeToExplain});
  return *group_;
}

void Rank::keep_record_in(const std::filesystem::path& folder) {
  meeting_->on_lost(
      [file = folder / ("rank_" + std::to_string(launch_.rank) + ".json"), with_nccl = uses_nccl_] {
        try {
          std::filesystem::create_directories(file.parent_path());
          write_file_atomic(file, recorded_exchanges(with_nccl));
        } catch (const std::exception& error) {
          log_warning(std::string("which exchanges were under way is not kept: ") + error.what());
        }
      });
}

void Rank::run(const std::function<void()>& work) {
  try {
    work();
    if (group_) group_->barrier();
    meeting_->part();
  } catch (const Error& error) {
    leave(error.exit_code());
    throw;
  } catch (const EndedByOther& ended) {
    leave(ended.exit_code);
    throw;
  } catch (...) {
    leave(static_cast<int>(ErrorKind::kInternal));
    throw;
  }
}

void Rank::leave(int code) {
  const Meeting::End end = meeting_->end(code);
  if (end.rank != launch_.rank) throw EndedByOther{end.code};
}

}  // namespace ddro::dist
