#include "train/stored_tensors.h"

#include <ATen/ATen.h>

#include "ddro/base/error.h"
#include "ddro/base/interruption.h"

namespace ddro::train {

TensorsByName by_name(const NamedTensors& tensors) { return {tensors.begin(), tensors.end()}; }

void restore(const StateTensor& target, const TensorsByName& source, const std::string& where) {
  const std::string named = "[" + where + "] tensor \"" + target.name + "\"";
  const auto found = source.find(target.name);
  if (found == source.end()) throw model_error(named + " is missing");
  const Tensor& whole = found->second;
  if (whole.sizes() != at::IntArrayRef(target.sizes) || whole.scalar_type() != target.own.scalar_type())
    throw model_error(named + " has another shape or type than the model");
  leave_if_interrupted();
  target.own.copy_(whole.reshape(-1).narrow(0, target.begin, target.own.numel()).view_as(target.own));
}

void check_all_read(const NamedTensors& tensors, size_t num_read, const std::string& where) {
  if (tensors.size() != num_read) throw model_error("[" + where + "] holds more tensors than the model has");
}

}  // namespace ddro::train
