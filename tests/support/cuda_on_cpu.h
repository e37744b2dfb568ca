// Runs CUDA kernels on threads of the CPU. Include this first and then the .cu file, whose launches
// (cudaLaunchKernelEx) then run the kernel with a real thread for each thread of a block, block after block,
// and return when it is done. A missing barrier is a data race there, which ThreadSanitizer reports.
//
// Covers what the kernels use: grids and blocks of one dimension, __shared__ variables, __syncthreads and the
// warp functions below. As on a device a thread that has returned is not waited for, but a warp function
// whose mask names it ends the process; so does a block that is no multiple of a warp.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>  // the overloads for float, in the global namespace

#include <algorithm>
#include <array>
#include <barrier>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#undef __shared__
#define __shared__ static  // one block runs at a time
#define __launch_bounds__(...)
#define cudaLaunchKernelEx ddro::test::run_on_cpu

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;
using std::max;

namespace ddro::test {

constexpr unsigned kLanes = 32;

[[noreturn]] inline void stop_emulation(const char* message) {
  std::fprintf(stderr, "kernel on the CPU: %s (block %u, thread %u)\n", message, blockIdx.x, threadIdx.x);
  std::abort();
}

// What the threads of a warp show each other, twice: an exchange may begin while the one before is being
// read.
struct WarpOnCpu {
  struct Slot {
    unsigned exchange = 0;  // the number of the exchange it was written for
    std::uint64_t bits = 0;
  };
  std::array<std::array<Slot, kLanes>, 2> slots;
  std::barrier<> barrier{kLanes};
};

struct BlockOnCpu {
  explicit BlockOnCpu(unsigned num_threads) : barrier(num_threads), warps(num_threads / kLanes) {}
  std::barrier<> barrier;
  std::deque<WarpOnCpu> warps;
};

struct ThreadOnCpu {
  BlockOnCpu* block = nullptr;
  unsigned exchanges = 0;  // done in this block

  WarpOnCpu& warp() const { return block->warps[threadIdx.x / kLanes]; }
  void leave() const {
    warp().barrier.arrive_and_drop();
    block->barrier.arrive_and_drop();
  }
};
inline thread_local ThreadOnCpu this_thread;

// `mine` of each lane of the calling thread's warp.
template <typename T>
std::array<T, kLanes> values_of_warp(unsigned mask, T mine) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  if (mask != 0xFFFFFFFFu) stop_emulation("only whole warps are emulated");
  WarpOnCpu& warp = this_thread.warp();
  const unsigned exchange = ++this_thread.exchanges;
  auto& slots = warp.slots[exchange % 2];
  WarpOnCpu::Slot& own = slots[threadIdx.x % kLanes];
  own.exchange = exchange;
  std::memcpy(&own.bits, &mine, sizeof(T));
  warp.barrier.arrive_and_wait();
  std::array<T, kLanes> values;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if (slots[lane].exchange != exchange) stop_emulation("a lane that the mask names has returned");
    std::memcpy(&values[lane], &slots[lane].bits, sizeof(T));
  }
  return values;
}

template <typename... Parameters, typename... Arguments>
cudaError_t run_on_cpu(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                       Arguments&&... arguments) {
  const unsigned num_blocks = config->gridDim.x;
  const unsigned num_threads = config->blockDim.x;
  if (num_blocks == 0 || num_blocks > 0x7FFFFFFFu || num_threads == 0 || num_threads > 1024)
    return cudaErrorInvalidConfiguration;
  if (num_threads % kLanes != 0) stop_emulation("only whole warps are emulated");
  const std::tuple<Parameters...> parameters(arguments...);
  std::optional<BlockOnCpu> block(std::in_place, num_threads);
  std::barrier between_blocks(num_threads, [&]() noexcept { block.emplace(num_threads); });
  const auto run = [&](unsigned thread) {
    threadIdx = {thread, 0, 0};
    blockDim = config->blockDim;
    gridDim = config->gridDim;
    for (unsigned index = 0; index < num_blocks; ++index) {
      blockIdx = {index, 0, 0};
      this_thread = {&*block, 0};
      std::apply(kernel, parameters);
      this_thread.leave();
      between_blocks.arrive_and_wait();
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned thread = 0; thread < num_threads; ++thread) threads.emplace_back(run, thread);
  return cudaSuccess;
}

}  // namespace ddro::test

inline void __syncthreads() { ddro::test::this_thread.block->barrier.arrive_and_wait(); }

template <typename T>
T __shfl_xor_sync(unsigned mask, T mine, int lane_mask) {
  const auto other = (threadIdx.x % ddro::test::kLanes) ^ static_cast<unsigned>(lane_mask);
  return ddro::test::values_of_warp(mask, mine)[other];
}
