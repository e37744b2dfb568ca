// Rotary embeddings as configurations say them.
#pragma once

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// How a family spells what all have, and what its class assumes for an absent key.
struct RotaryDefaults {
  double theta = 10000;
  double partial_rotary_factor = 1;  // the share of a head's numbers that is turned
  const char* theta_key = "rope_theta";
  const char* partial_key = nullptr;                                      // none: all are turned
  std::optional<double> original_max_position_embeddings = std::nullopt;  // beside longrope
  bool interleaved = false;
};

enum class LayerKind { kFull, kSliding };

// Both spellings: rope_theta with rope_scaling, and the newer rope_parameters that holds them together, for
// all layers or for each kind of layer. Error(kModel) for types and keys that are not built.
//
// `dynamic` changes nothing up to max_position_embeddings, and longer sequences are refused. `longrope` has
// factors for sequences within the original context and others for longer ones: the former are read, and a
// model has no more positions than that context (max_positions).
RotarySpec read_rotary(const ConfigReader& config, std::int64_t head_dim, const RotaryDefaults& defaults = {},
                       LayerKind kind = LayerKind::kFull);

// Of the model's own positions, as many as `rotary` is right for.
std::int64_t max_positions(const RotarySpec& rotary, std::int64_t max_position_embeddings);

// True where rope_parameters has entries for each kind of layer.
bool rotary_is_by_layer_kind(const ConfigReader& config);

}  // namespace ddro::models
