// Random numbers that are a pure function of (seed, stream, index): nothing to save, nothing that depends on
// a platform's standard library.
#pragma once

#include <cstdint>
#include <vector>

namespace ddro {

// SplitMix64's finalizer over a combination of the three: 64 well mixed bits.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);

// Uniform in [0, 1), 53 bits.
double random_unit(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);

// A permutation of 0..size-1 (Fisher-Yates with random_bits).
std::vector<std::int64_t> random_permutation(std::int64_t size, std::uint64_t seed, std::uint64_t stream);

}  // namespace ddro
