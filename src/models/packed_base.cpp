#include "ddro/models/packed_base.h"

#include <ATen/ATen.h>
#include <c10/util/accumulate.h>

#include <algorithm>

#include "ddro/ops/packed.h"

namespace ddro::models {

std::set<std::string> names_of_packable(const ModelSpec& spec, const BuildOptions& options) {
  const bool is_trained = options.trainable && options.adapter == nullptr;
  if (is_trained || options.store) return {};
  std::set<std::string> names;
  for (const LinearSpec& linear : linears_of(spec)) {
    if (!linear.transposed && linear.stacked == 0) names.insert(linear.weight_name());
  }
  if (!spec.tie_word_embeddings) names.insert(spec.embedding_name);
  return names;
}

bool stays_stored(const Tensor& weight, const BuildOptions& options) {
  if (ops::is_packed(weight)) return options.device.is_cpu();
  return options.keep_stored_dtype && at::elementSize(weight.scalar_type()) < at::elementSize(options.dtype);
}

bool is_packed(const ModelFolder& folder) {
  return std::any_of(folder.tensors.begin(), folder.tensors.end(),
                     [](const auto& named) { return ops::is_packed(named.second); });
}

double bytes_of_base(const ModelFolder& folder, const BuildOptions& options) {
  const std::set<std::string> packable = names_of_packable(folder.spec, options);
  double bytes = 0;
  for (const auto& [name, tensor] : folder.tensors) {
    const auto numbers = static_cast<double>(c10::multiply_integers(ops::shape_of_numbers(tensor)));
    bytes += packable.contains(name) && stays_stored(tensor, options)
                 ? static_cast<double>(tensor.nbytes())
                 : numbers * static_cast<double>(at::elementSize(options.dtype));
  }
  return bytes;
}

}  // namespace ddro::models
