// The models of tests/fixtures/make_models.py, and three ways to lay their sequences out.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/base/tensor_io.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/model_folder.h"
#include "support/fixtures.h"

namespace ddro::test {

// One or several of each family; what they have is said in make_models.py.
inline const std::string kModelFixtures[] = {"llama",
                                             "llama_tied",
                                             "llama_rope_llama3",
                                             "llama_rope_linear",
                                             "llama_rope_dynamic",
                                             "llama_rope_yarn",
                                             "llama_rope_yarn_mscale",
                                             "llama_rope_yarn_factor",
                                             "llama_rope_longrope",
                                             "llama_biases",
                                             "llama_gelu",
                                             "llama_rope_llama3_v5",
                                             "mistral_window",
                                             "ministral",
                                             "qwen2",
                                             "qwen2_window",
                                             "qwen2_layer_types",
                                             "qwen3",
                                             "gemma",
                                             "gemma2",
                                             "gemma3_text",
                                             "gemma3_text_scaled",
                                             "gemma3_text_v5",
                                             "phi",
                                             "phi_qk_norm",
                                             "phi3",
                                             "phi3_longrope",
                                             "phi3_longrope_v5",
                                             "olmo",
                                             "olmo_clip",
                                             "olmo2",
                                             "olmo2_biases",
                                             "olmo3",
                                             "smollm3",
                                             "smollm3_listed",
                                             "granite",
                                             "granite_biases",
                                             "stablelm",
                                             "stablelm_parallel",
                                             "gpt_neox",
                                             "gpt_neox_v5",
                                             "gpt_neox_serial",
                                             "gpt2",
                                             "gpt2_scales",
                                             "opt",
                                             "opt_plain",
                                             "falcon_7b",
                                             "falcon_40b",
                                             "falcon_11b",
                                             "falcon_serial",
                                             "falcon_rw",
                                             "falcon_alibi",
                                             "bloom",
                                             "bloom_slopes",
                                             "mpt",
                                             "mpt_clip",
                                             "cohere",
                                             "cohere_qk_norm",
                                             "cohere2",
                                             "glm",
                                             "glm4",
                                             "starcoder2",
                                             "starcoder2_plain",
                                             "exaone4",
                                             "exaone4_full",
                                             "seed_oss",
                                             "seed_oss_biases",
                                             "mixtral",
                                             "mixtral_window",
                                             "qwen2_moe",
                                             "qwen2_moe_sparse",
                                             "qwen3_moe",
                                             "qwen3_moe_sparse",
                                             "olmoe",
                                             "olmoe_clip",
                                             "gpt_oss",
                                             "gpt_oss_listed",
                                             "granitemoe",
                                             "granitemoeshared",
                                             "granitemoehybrid",
                                             "granitemoehybrid_nope",
                                             "granitemoehybrid_v5",
                                             "nemotron",
                                             "nemotron_biases",
                                             "arcee",
                                             "arcee_biases",
                                             "ernie4_5",
                                             "ernie4_5_biases",
                                             "hunyuan_v1_dense",
                                             "hunyuan_v1_dense_biases",
                                             "helium",
                                             "helium_biases",
                                             "internlm2",
                                             "internlm2_biases",
                                             "internlm3",
                                             "internlm3_biases",
                                             "internlm3_qkv_bias",
                                             "exaone",
                                             "exaone_tied",
                                             "llama_sharded",
                                             "llama_bfloat16"};

inline std::filesystem::path model_fixture(const std::string& name) { return fixture("models/" + name); }

using Sequence = std::vector<std::int64_t>;

struct Expected {
  std::vector<Sequence> sequences;
  std::map<std::string, Tensor> values;
};

inline std::vector<Sequence> read_sequences(const std::filesystem::path& folder) {
  return read_json_file((folder / "expected.json").string(), ErrorKind::kInput)["sequences"];
}

inline Expected read_expected(const std::filesystem::path& folder) {
  Expected expected;
  expected.sequences = read_sequences(folder);
  const SafetensorsFile file(folder / "values.safetensors");
  for (const auto& [key, view] : file.tensors())
    expected.values[key] = tensor_from_view(view, file.mapping());
  return expected;
}

inline Expected read_expected(const std::string& name) {
  return read_expected(model_fixture(name + ".expected"));
}

// A packed batch, and where each sequence's tokens are in it.
struct Packed {
  Sequence ids, positions;
  std::vector<ops::AttentionSegment> segments;
  std::vector<Sequence> places;

  void add_segment(const Sequence& tokens, std::int64_t first_position, std::int64_t parent) {
    segments.push_back(
        {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(tokens.size()), parent});
    for (size_t i = 0; i < tokens.size(); ++i) {
      ids.push_back(tokens[i]);
      positions.push_back(first_position + static_cast<std::int64_t>(i));
    }
  }

  void add_whole(const Sequence& tokens) {
    Sequence place;
    for (size_t i = 0; i < tokens.size(); ++i) place.push_back(static_cast<std::int64_t>(ids.size() + i));
    places.push_back(place);
    add_segment(tokens, 0, -1);
  }

  // Several sequences whose first `shared` tokens are the same.
  void add_sharing(const std::vector<Sequence>& sequences, std::int64_t shared) {
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto parent = static_cast<std::int64_t>(segments.size());
    add_segment(Sequence(sequences[0].begin(), sequences[0].begin() + shared), 0, -1);
    for (const Sequence& tokens : sequences) {
      Sequence place;
      for (std::int64_t i = 0; i < shared; ++i) place.push_back(begin + i);
      for (size_t i = static_cast<size_t>(shared); i < tokens.size(); ++i) {
        place.push_back(static_cast<std::int64_t>(ids.size() + i) - shared);
      }
      places.push_back(place);
      add_segment(Sequence(tokens.begin() + shared, tokens.end()), shared, parent);
    }
  }
};

// Logits of each sequence (differentiable), from one forward.
inline std::vector<Tensor> logits_of(const models::CausalLm& model, const Packed& packed,
                                     at::Device device = at::kCPU,
                                     const std::function<void(size_t unit)>& on_complete = nullptr) {
  const ops::AttentionLayout layout(packed.segments, device);
  Sequence asked;
  for (const Sequence& place : packed.places) asked.insert(asked.end(), place.begin(), place.end());
  models::ModelInput input;
  input.ids_T = at::tensor(packed.ids, at::kLong).to(device);
  input.positions_T = at::tensor(packed.positions, at::kLong).to(device);
  input.layout = &layout;
  input.output_positions_C = at::tensor(asked, at::kLong).to(device);
  input.on_complete = on_complete;
  const Tensor logits = models::logits(model, model.hidden(input));
  std::vector<Tensor> parts;
  std::int64_t begin = 0;
  for (const Sequence& place : packed.places) {
    parts.push_back(logits.narrow(0, begin, static_cast<std::int64_t>(place.size())));
    begin += static_cast<std::int64_t>(place.size());
  }
  return parts;
}

// sum(logits * probe) with the probe of make_models.py.
inline Tensor probe_loss(const Tensor& logits, std::int64_t sequence) {
  const Tensor t = at::arange(logits.size(0), logits.options()).unsqueeze(1);
  const Tensor v = at::arange(logits.size(1), logits.options()).unsqueeze(0);
  return (logits * at::cos(0.37 * t + 0.11 * v + sequence)).sum();
}

inline double relative_error(const Tensor& got, const Tensor& expected) {
  const Tensor reference = expected.to(at::kDouble);
  const double norm = reference.norm().item<double>();
  const double difference = (got.detach().to(at::kCPU, at::kDouble) - reference).norm().item<double>();
  return norm == 0 ? difference : difference / norm;
}

}  // namespace ddro::test
