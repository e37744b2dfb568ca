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
  T* row;
  std::int64_t head, packs, size;

  __device__ RowParts(T* start, std::int64_t vocabulary) : row(start), size(vocabulary) {
    const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(start) % 16 / sizeof(T));
    const std::int64_t to_boundary = past == 0 ? 0 : Pack<T>::kSize - past;
    head = to_boundary < size ? to_boundary : size;
    packs = (size - head) / Pack<T>::kSize;
  }

  // Calls visit(values) for arrays of one element or of a pack, each visited by one thread of the block.
  template <typename Visit>
  __device__ void for_each(Visit visit) {
    Pack<T>* body = reinterpret_cast<Pack<T>*>(row + head);
    for (std::int64_t i = threadIdx.x; i < packs; i += kThreads) {
      Pack<T> pack = body[i];
      if (visit(pack.values)) body[i] = pack;
    }
    const std::int64_t tail = head + packs * Pack<T>::kSize;
    const std::int64_t singles = head + (size - tail);
    for (std::int64_t i = threadIdx.x; i < singles; i += kThreads) {
      T* element = row + (i < head ? i : tail + (i - head));
      T value[1] = {*element};
      if (visit(value)) *element = value[0];
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

// Numbers of one load, as they count.
template <typename A, typename T, int N, typename Count>
__device__ void count_all(const T (&values)[N], Count count, A (&counted)[N]) {
  for (int i = 0; i < N; ++i) counted[i] = count(widen(values[i]));
}

template <typename T, typename A, bool kCapped>
__global__ void __launch_bounds__(kThreads)
    target_logprobs_kernel(T* logits, const std::int64_t* targets, A* logp, std::int64_t vocabulary,
                           bool leave_residual, Cap<A, kCapped> cap) {
  const std::int64_t token = blockIdx.x;
  RowParts<T> parts(logits + token * vocabulary, vocabulary);
  // Read before any thread overwrites the row: the reduction's barrier lies in between.
  T* target = parts.row + targets[token];
  const A target_logit = cap(widen(*target));
  LogSumExp<A> seen;
  parts.for_each([&seen, &cap](const auto& values) {
    A counted[sizeof(values) / sizeof(T)];
    count_all(values, cap, counted);
    seen.add(counted);
    return false;
  });
  const LogSumExp<A> row = reduce_block(seen);
  if (threadIdx.x == 0) logp[token] = (target_logit - row.maximum) - log(row.sum);
  if (!leave_residual) return;
  parts.for_each([&row, &cap](auto& values) {
    for (auto& value : values) {
      const A logit = cap(widen(value));
      narrow(-exp(logit - row.maximum) / row.sum * cap.slope(logit), value);
    }
    return true;
  });
  __syncthreads();
  if (threadIdx.x == 0)
    narrow((1 - exp(target_logit - row.maximum) / row.sum) * cap.slope(target_logit), *target);
}

}  // namespace

cudaError_t launch_target_logprobs(FloatType type, void* logits, const std::int64_t* targets, void* logp,
                                   std::int64_t num_tokens, std::int64_t vocabulary, bool leave_residual,
                                   double softcap, cudaStream_t stream) {
  return with_element(type, [&](auto element) {
    using T = decltype(element);
    using A = Wide<T>;
    const auto run = [&](auto kernel, auto cap) {
      return launch(kernel, num_tokens, kThreads, stream, static_cast<T*>(logits), targets,
                    static_cast<A*>(logp), vocabulary, leave_residual, cap);
    };
    if (softcap > 0) return run(target_logprobs_kernel<T, A, true>, Cap<A, true>{static_cast<A>(softcap)});
    return run(target_logprobs_kernel<T, A, false>, Cap<A, false>{0});
  });
}

}  // namespace ddro::ops::cuda
