#include "ddro/base/random.h"

#include <cstddef>
#include <numeric>
#include <utility>

namespace ddro {
namespace {

std::uint64_t mix(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return mix(mix(mix(seed) ^ stream) ^ index);
}

double random_unit(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return static_cast<double>(random_bits(seed, stream, index) >> 11) * 0x1.0p-53;
}

std::vector<std::int64_t> random_permutation(std::int64_t size, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    // The modulo's bias is below 2^-40 for any list that fits in memory.
    std::swap(order[i - 1], order[random_bits(seed, stream, i) % i]);
  }
  return order;
}

}  // namespace ddro
