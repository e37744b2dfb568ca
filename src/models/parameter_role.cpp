#include "ddro/models/parameter_role.h"

#include <string_view>

#include "ddro/models/adapter_spec.h"
#include "models/visit_linears.h"

namespace ddro::models {

ParameterRoles::ParameterRoles(const ModelSpec& model) {
  const auto add_matrix = [this](const LinearSpec& linear) {
    if (!linear.name.empty()) roles_[linear.weight_name()] = ParameterRole::kMatrix;
  };
  for (const LayerSpec& layer : model.layers) {
    visit_attention(layer.attention, add_matrix);
    visit_inner(layer, add_matrix);
  }
  roles_[model.head_name] = ParameterRole::kHead;
  roles_[model.embedding_name] = ParameterRole::kEmbedding;
  if (model.positions) roles_[model.positions->name] = ParameterRole::kEmbedding;
}

ParameterRole ParameterRoles::operator[](const std::string& parameter) const {
  std::string_view name = parameter;
  if (name.starts_with(kAdapterPrefix)) {
    if (name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight")) return ParameterRole::kMatrix;
    name.remove_prefix(std::string_view(kAdapterPrefix).size());
  }
  const auto found = roles_.find(std::string(name));
  return found == roles_.end() ? ParameterRole::kVector : found->second;
}

}  // namespace ddro::models
