// What one rank has of a trained state.
#pragma once

#include "ddro/train/state_tensors.h"

namespace ddro::test {

inline NamedTensors own_tensors(const train::StateTensors& state) {
  NamedTensors tensors;
  for (const train::StateTensor& tensor : state) tensors.emplace_back(tensor.name, tensor.own);
  return tensors;
}

}  // namespace ddro::test
