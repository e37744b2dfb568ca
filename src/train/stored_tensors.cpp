#include "train/stored_tensors.h"

#include <ATen/ATen.h>

#include "ddro/base/error.h"

namespace ddro::train {

TensorsByName by_name(const NamedTensors& tensors) { return {tensors.begin(), tensors.end()}; }

void restore(const Tensor& target, const std::string& name, const TensorsByName& source,
             const std::string& where) {
  const auto found = source.find(name);
  if (found == source.end()) throw model_error("[" + where + "] tensor \"" + name + "\" is missing");
  if (found->second.sizes() != target.sizes() || found->second.scalar_type() != target.scalar_type()) {
    throw model_error("[" + where + "] tensor \"" + name + "\" has another shape or type than the model");
  }
  target.copy_(found->second);
}

void check_all_read(const NamedTensors& tensors, size_t num_read, const std::string& where) {
  if (tensors.size() != num_read) throw model_error("[" + where + "] holds more tensors than the model has");
}

}  // namespace ddro::train
