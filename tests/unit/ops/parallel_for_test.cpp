#include "ddro/ops/parallel_for.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace ddro::ops {
namespace {

TEST(ParallelFor, VisitsAllOnceOnSeveralThreads) {
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  std::vector<int> visits(1000);
  std::atomic<int> calls = 0;
  parallel_for(0, 1000, 10, [&](std::int64_t first, std::int64_t last) {
    ++calls;
    for (std::int64_t i = first; i < last; ++i) ++visits[static_cast<size_t>(i)];
  });
  at::set_num_threads(threads);
  EXPECT_EQ(visits, std::vector<int>(1000, 1));
  EXPECT_EQ(calls.load(), 3);
}

TEST(ParallelFor, OfNothing) {
  parallel_for(3, 3, 1, [](std::int64_t, std::int64_t) { FAIL(); });
}

TEST(ParallelFor, PassesOnWhatIsThrown) {
  EXPECT_THROW(parallel_for(0, 100, 1, [](std::int64_t, std::int64_t) { throw std::runtime_error("x"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace ddro::ops
