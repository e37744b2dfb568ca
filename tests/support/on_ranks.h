// Runs part of a test in several ranks, each a process of its own, that meet on the loopback.
#pragma once

#include <c10/cuda/CUDAFunctions.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "ddro/dist/rank.h"
#include "dist/sockets.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace ddro::test {

// What `work` returned in each rank, by rank; empty where it failed. Nothing of LibTorch may have run on
// several threads before: a process loses them in a fork.
// `device`: CUDA takes a GPU for each rank, between which goes NCCL.
inline std::vector<std::string> on_ranks(int size,
                                         const std::function<std::string(const dist::Communicator&)>& work,
                                         at::DeviceType device = at::kCPU, std::int64_t timeout_s = 60) {
  const TemporaryFolder folder;
  const dist::BoundSocket socket = dist::bind_socket("127.0.0.1", 0);
  const auto path_of = [&](int rank) { return folder / std::to_string(rank); };
  const auto be_rank = [&](int rank) {
    dist::Launch launch;
    launch.rank = launch.local_rank = rank;
    launch.size = launch.local_size = size;
    launch.address = "127.0.0.1";
    launch.port = socket.port;
    if (rank == 0) {
      launch.socket = socket.descriptor;
    } else {
      close(socket.descriptor);
    }
    dist::Rank self(launch, {.timeout_s = timeout_s});
    if (device == at::kCUDA) c10::cuda::set_device(static_cast<c10::DeviceIndex>(rank));
    const at::Device own(device, static_cast<c10::DeviceIndex>(device == at::kCUDA ? rank : -1));
    self.run([&] { std::ofstream(path_of(rank), std::ios::binary) << work(self.join(own)); });
  };
  std::fflush(nullptr);
  std::vector<pid_t> children;
  for (int rank = 0; rank < size; ++rank) {
    const pid_t child = fork();
    if (child > 0) {
      children.push_back(child);
      continue;
    }
    try {
      be_rank(rank);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
    } catch (const dist::EndedByOther&) {
    }
    _exit(0);
  }
  close(socket.descriptor);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  std::vector<std::string> results;
  for (int rank = 0; rank < size; ++rank) {
    std::ifstream file(path_of(rank), std::ios::binary);
    results.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return results;
}

// Devices of this machine, without a call of CUDA, which would not survive a fork.
inline int num_gpus() {
  int count = 0;
  while (std::filesystem::exists("/dev/nvidia" + std::to_string(count))) ++count;
  return count;
}

}  // namespace ddro::test
