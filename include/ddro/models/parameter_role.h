// What a parameter is in its model: some optimizers treat some in another way.
#pragma once

#include <string>
#include <unordered_map>

#include "ddro/models/model_spec.h"

namespace ddro::models {

enum class ParameterRole {
  kEmbedding,  // of ids or positions, tied to the head or not
  kHead,
  kMatrix,  // of a product within the layers; several where they are stacked. Low-rank factors of an adapter
  kVector,  // everything else: norms, biases, sinks, magnitudes, whatever their shape
};

// Of a model's parameters by name, and of those of an adapter on it.
class ParameterRoles {
 public:
  explicit ParameterRoles(const ModelSpec& model);

  ParameterRole operator[](const std::string& parameter) const;

 private:
  std::unordered_map<std::string, ParameterRole> roles_;  // but for vectors
};

}  // namespace ddro::models
