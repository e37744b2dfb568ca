// What a forward and its backward do with one unit of weights.
#pragma once

#include <functional>

#include "ddro/models/weight_store.h"

namespace ddro::models {

// Without a store the weights are always there, and nothing is to be done.
struct WeightUnit {
  WeightStore* store = nullptr;
  size_t index = 0;

  void gather() const {
    if (store != nullptr) store->gather(index);
  }
  void release() const {
    if (store != nullptr) store->release(index);
  }
  void begin_gradients() const {
    if (store != nullptr) store->begin_gradients(index);
  }
  void end_gradients() const {
    if (store != nullptr) store->end_gradients(index);
  }
  // Around the backward of what the unit has computed.
  void begin_backward() const {
    gather();
    begin_gradients();
  }
  void end_backward() const {
    end_gradients();
    release();
  }
};

// x; `call` is called when the backward has come to its gradient: after that of all that was computed of x,
// before that of what x was computed from.
Tensor in_backward(const Tensor& x, const std::function<void()>& call);

// block(x), which computes with the unit's weights. The graph keeps them by name, not by value.
Tensor run_unit(const WeightUnit& unit, const std::function<Tensor(const Tensor&)>& block, const Tensor& x);

}  // namespace ddro::models
