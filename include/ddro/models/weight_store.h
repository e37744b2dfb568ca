// Weights that are whole only while something computes with them.
#pragma once

#include <cstddef>
#include <string>

#include "ddro/base/tensor.h"

namespace ddro::models {

// Has the parameters of one model, in units (ddro/models/weight_units.h). A forward gathers each unit
// before it computes with it and releases it behind; so does its backward, from the last to the first. The
// tensors stay the same all the time, without memory where they are not whole.
class WeightStore {
 public:
  virtual ~WeightStore() = default;

  // While the model is built: a parameter, which owns its memory. It is released.
  virtual void take(size_t unit, const std::string& name, const Tensor& parameter) = 0;

  virtual void begin_forward() = 0;
  // A unit that is whole already stays so.
  virtual void gather(size_t unit) = 0;
  virtual void release(size_t unit) = 0;
  // Gradients of a unit are zeros, to which a backward adds; until they are complete.
  virtual void begin_gradients(size_t unit) = 0;
  virtual void end_gradients(size_t unit) = 0;

  // For whoever trains the model. Of a parameter what is always there, in a row; undefined for one that the
  // store does not have.
  virtual Tensor part(const std::string& name) const = 0;
  // Backward passes add to `whole`, which is released; what all have added goes to `own`, as part() has it.
  virtual void keep_gradient(const std::string& name, const Tensor& whole, const Tensor& own) = 0;
  // Whether each forward is told to the others that have parts of the model, who all have one then.
  virtual void announce(bool value) = 0;
};

}  // namespace ddro::models
