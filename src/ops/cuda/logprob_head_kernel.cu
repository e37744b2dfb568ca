// One block a row: an online log-sum-exp in one reading of the row, then, if asked, the residual in a second
// one, which the L2 cache mostly serves.
#include "ops/cuda/logprob_head_kernel.h"

#include <cfloat>

#include "ops/cuda/element.h"
#include "ops/cuda/launch.h"

namespace ddro::ops::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarpSize = 32;
constexpr int kWarps = kThreads / kWarpSize;

// Finite, so that exp(lowest - lowest) is 1 and not a NaN.
__device__ float lowest(float) { return -FLT_MAX; }
__device__ double lowest(double) { return -DBL_MAX; }

// What a logit counts as.
template <typename A, bool kCapped>
struct Cap {
  A softcap;

  __device__ A operator()(A x) const {
    if constexpr (kCapped) return softcap * tanh(x / softcap);
    return x;
  }
  // d capped / d logit
  __device__ A slope(A capped) const {
    if constexpr (kCapped) return 1 - (capped / softcap) * (capped / softcap);
    return 1;
  }
};

// sum of exp(x - maximum) over what has been seen; NaN once a NaN has been seen.
template <typename A>
struct LogSumExp {
  A maximum = lowest(A{});
  A sum = 0;

  __device__ void merge(A other_maximum, A other_sum) {
    // fmax would pass over a NaN, but the sum beside it keeps it.
    const A joint = fmax(maximum, other_maximum);
    sum = sum * exp(maximum - joint) + other_sum * exp(other_maximum - joint);
    maximum = joint;
  }

  template <int N>
  __device__ void add(const A (&values)[N]) {
    A largest = maximum;
    for (int i = 0; i < N; ++i) largest = fmax(largest, values[i]);
    A added = 0;
    for (int i = 0; i < N; ++i) added += exp(values[i] - largest);
    sum = sum * exp(maximum - largest) + added;
    maximum = largest;
  }
};

// A row from its first 16-byte boundary on is packs; what lies before and behind them is single elements.
// Rows begin anywhere when V elements are no multiple of 16 bytes.
template <typename T>
struct RowParts {
  const T* row;
  std::int64_t head, packs, size;

  __device__ RowParts(const T* start, std::int64_t vocabulary) : row(start), size(vocabulary) {
    const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(start) % 16 / sizeof(T));
    const std::int64_t to_boundary = past == 0 ? 0 : Pack<T>::kSize - past;
    head = to_boundary < size ? to_boundary : size;
    packs = (size - head) / Pack<T>::kSize;
  }

  // Calls visit(values, place) for arrays of one element or of a pack that begin at row[place], each visited
  // by one thread of the block.
  template <typename Visit>
  __device__ void for_each(Visit visit) const {
    for (std::int64_t i = threadIdx.x; i < packs; i += kThreads) {
      const std::int64_t place = head + i * Pack<T>::kSize;
      const Pack<T> pack = pack_at<Pack<T>::kSize>(row + place);
      visit(pack.values, place);
    }
    const std::int64_t tail = head + packs * Pack<T>::kSize;
    const std::int64_t singles = head + (size - tail);
    for (std::int64_t i = threadIdx.x; i < singles; i += kThreads) {
      const std::int64_t place = i < head ? i : tail + (i - head);
      const T value[1] = {row[place]};
      visit(value, place);
    }
  }
};

// Every thread gets the whole block's value.
template <typename A>
__device__ LogSumExp<A> reduce_block(LogSumExp<A> mine) {
  __shared__ A maxima[kWarps];
  __shared__ A sums[kWarps];
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    const A maximum = __shfl_xor_sync(0xffffffffu, mine.maximum, offset);
    const A sum = __shfl_xor_sync(0xffffffffu, mine.sum, offset);
    mine.merge(maximum, sum);
  }
  if (threadIdx.x % kWarpSize == 0) {
    maxima[threadIdx.x / kWarpSize] = mine.maximum;
    sums[threadIdx.x / kWarpSize] = mine.sum;
  }
  __syncthreads();
  LogSumExp<A> all;
  for (int warp = 0; warp < kWarps; ++warp) all.merge(maxima[warp], sums[warp]);
  return all;
}

// Numbers of one load, each by itself.
template <typename A, int N, typename Function>
__device__ void map(const A (&values)[N], Function function, A (&results)[N]) {
  for (int i = 0; i < N; ++i) results[i] = function(values[i]);
}

// In one store where that is aligned.
template <typename A, int N, typename T>
__device__ void store(const A (&values)[N], T* place) {
  Pack<T, N> pack;
  for (int i = 0; i < N; ++i) narrow(values[i], pack.values[i]);
  if (reinterpret_cast<std::uintptr_t>(place) % sizeof(pack) == 0) {
    pack_at<N>(place) = pack;
  } else {
    for (int i = 0; i < N; ++i) place[i] = pack.values[i];
  }
}

template <typename T, typename A, bool kCapped>
__global__ void __launch_bounds__(kThreads)
    target_logprobs_kernel(const A* logits, const std::int64_t* targets, A* logp, T* residual,
                           std::int64_t vocabulary, Cap<A, kCapped> cap) {
  const std::int64_t token = blockIdx.x;
  const RowParts<A> parts(logits + token * vocabulary, vocabulary);
  // Read before any thread overwrites the row: the reduction's barrier lies in between.
  const A target_logit = cap(parts.row[targets[token]]);
  LogSumExp<A> seen;
  parts.for_each([&seen, &cap](const auto& values, std::int64_t) {
    A counted[sizeof(values) / sizeof(A)];
    map(values, cap, counted);
    seen.add(counted);
  });
  const LogSumExp<A> row = reduce_block(seen);
  if (threadIdx.x == 0) logp[token] = (target_logit - row.maximum) - log(row.sum);
  if (residual == nullptr) return;
  T* residual_row = residual + token * vocabulary;
  parts.for_each([&row, &cap, residual_row](const auto& values, std::int64_t place) {
    A results[sizeof(values) / sizeof(A)];
    map(
        values,
        [&row, &cap](A value) {
          const A logit = cap(value);
          return -exp(logit - row.maximum) / row.sum * cap.slope(logit);
        },
        results);
    store(results, residual_row + place);
  });
  __syncthreads();
  if (threadIdx.x == 0)
    narrow((1 - exp(target_logit - row.maximum) / row.sum) * cap.slope(target_logit),
           residual_row[targets[token]]);
}

}  // namespace

cudaError_t launch_target_logprobs(FloatType type, const void* logits, const std::int64_t* targets,
                                   void* logp, void* residual, std::int64_t num_tokens,
                                   std::int64_t vocabulary, double softcap, cudaStream_t stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    using A = Wide<T>;
    const auto run = [&](auto kernel, auto cap) {
      return launch(kernel, num_tokens, kThreads, stream, static_cast<const A*>(logits), targets,
                    static_cast<A*>(logp), static_cast<T*>(residual), vocabulary, cap);
    };
    if (softcap > 0) return run(target_logprobs_kernel<T, A, true>, Cap<A, true>{static_cast<A>(softcap)});
    return run(target_logprobs_kernel<T, A, false>, Cap<A, false>{0});
  });
}

}  // namespace ddro::ops::cuda
