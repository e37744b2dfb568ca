// The `distributed` section of a run's configuration.
#pragma once

#include <array>
#include <cstdint>

#include "ddro/base/enum_names.h"

namespace ddro::dist {

enum class Backend { kAuto, kNone, kGloo, kNccl };

// What of the trained model each rank holds a part of, in place of the whole: nothing; masters and moments;
// or weights and gradients too.
enum class Shard { kNone, kOptimizer, kFull };

// Of a run in several ranks; one process reads none.
struct DistributedOptions {
  Backend backend = Backend::kAuto;  // kAuto: NCCL where every rank has a CUDA device, else Gloo
  Shard shard = Shard::kOptimizer;
  std::int64_t timeout_s = 600;  // within which the others end when a rank is lost

  void validate() const;  // Error(kInput) naming the dotted key
};

}  // namespace ddro::dist

namespace ddro {

template <>
struct EnumNames<dist::Backend> {
  using E = dist::Backend;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"auto", E::kAuto}, {"none", E::kNone}, {"gloo", E::kGloo}, {"nccl", E::kNccl}}};
};

template <>
struct EnumNames<dist::Shard> {
  using E = dist::Shard;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"none", E::kNone}, {"optimizer", E::kOptimizer}, {"full", E::kFull}}};
};

}  // namespace ddro
