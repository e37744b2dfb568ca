// Adapters: what is trained, stored and loaded in place of a model's weights. Folders are PEFT's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "ddro/base/tensor_io.h"
#include "ddro/models/adapter_spec.h"

namespace ddro::models {

struct Adapter {
  AdapterSpec spec;
  NamedTensors tensors;    // in the order of parameters_of(spec)
  Json config;             // adapter_config.json
  std::string hash;        // of all that decides what it computes
  bool knows_base = true;  // its file holds the hash of the base that it was trained on
};

// One that changes nothing yet: A uniform within 1 / sqrt(width) (as PEFT's kaiming_uniform with a =
// sqrt(5)), drawn from `seed`; B zero; m the norms of the weights' rows as they are in `compute`; what is
// trained in full as in `base`. float32 tensors, or float64 ones where `compute` is that.
Adapter make_adapter(const AdapterOptions& options, const ModelSpec& model, const NamedTensors& base,
                     const std::string& base_model, std::uint64_t seed, at::ScalarType compute);

// adapter_config.json and adapter_model.safetensors of a PEFT folder, or a GGUF adapter as the folder that it
// stands for. Error(kModel) as parse_adapter_config and plan_adapter, for tensors that are missing, too many
// or of another shape than the base calls for, and where the file says that it was trained on weights of
// another hash than `base_hash`.
Adapter read_adapter(const std::filesystem::path& path, const ModelSpec& model, const std::string& base_hash);

// The norms of a weight's rows, in float32 (float64 of a float64 weight).
Tensor row_norms(const Tensor& weight_ED);

// What adapter_model.safetensors says beside its tensors.
std::map<std::string, std::string> adapter_metadata(const std::string& base_hash);

// The weights of the base in `type`, with `tensors`, an adapter's of this specification, added to them in
// float32 at least. Where the adapter has trained one of a tied head and its embedding, the head is a tensor
// too.
// The sources compute one at a time, and hold the tensors that they are made of.
TensorSources merged_sources(const ModelSpec& model, const NamedTensors& base, const AdapterSpec& adapter,
                             const NamedTensors& tensors, at::ScalarType type);
NamedTensors merged_weights(const ModelSpec& model, const NamedTensors& base, const AdapterSpec& adapter,
                            const NamedTensors& tensors, at::ScalarType type);

}  // namespace ddro::models
