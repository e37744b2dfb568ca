// Which parts of a model an adapter changes, and how: from PEFT's adapter_config.json, or a run's `adapter`
// section, to names and shapes of tensors.
//
// Of a linear layer with the frozen weight W (E x D) and an adapter of rank R:
//   LoRA (Hu et al. 2021)  y = x (W + s B A)^T + b,  A: R x D, B: E x R, s = alpha / R (rsLoRA: alpha /
//   sqrt(R)) DoRA (Liu et al. 2024) y = m / |W + s B A| * x (W + s B A)^T + b,  m: E; norms of rows, taken as
//   constants
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/models/adapter_options.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

// In front of the names of a PEFT folder's tensors.
inline constexpr const char* kAdapterPrefix = "base_model.model.";

struct AdaptedLinear {
  LinearSpec linear;
  std::int64_t rank = 0;
  double scale = 0;  // s

  std::string a_name() const { return kAdapterPrefix + linear.name + ".lora_A.weight"; }
  std::string b_name() const { return kAdapterPrefix + linear.name + ".lora_B.weight"; }
  std::string magnitude_name() const { return kAdapterPrefix + linear.name + ".lora_magnitude_vector"; }
};

struct AdapterSpec {
  bool dora = false;
  std::vector<AdaptedLinear> linears;  // in the model's order
  std::vector<ParameterSpec> saved;    // of the base: trained in full, as kAdapterPrefix + name

  const AdaptedLinear* find(const std::string& linear) const;
  bool saves(const std::string& parameter) const;
};

// The tensors of an adapter in a fixed order, named as in a PEFT folder: for each linear layer A, B and with
// DoRA m; then those that are trained in full.
std::vector<ParameterSpec> parameters_of(const AdapterSpec& adapter);

std::int64_t num_parameters(const AdapterSpec& adapter);

// Adapters of equal tensors and equal descriptions compute the same.
Json describe(const AdapterSpec& adapter);

// For people: "lora of rank 16 on 210 linear layers".
std::string summary(const AdapterSpec& adapter);

// What an adapter_config.json asks for.
struct PeftConfig {
  std::string base_model_name_or_path;  // empty: it does not say
  bool dora = false;
  bool rslora = false;
  std::int64_t r = 8;
  double lora_alpha = 8;
  double lora_dropout = 0;
  std::vector<std::string> target_modules;
  // target_modules is a pattern, or other keys restrict it: the adapter's tensors say which layers it has.
  bool targets_are_in_tensors = false;
  std::vector<std::string> modules_to_save;
  // Of layers whose name is the key, or ends with it behind a dot; the first that fits counts.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
};

// Error(kModel) that names file and key, for other kinds of adapters and for whatever would change what it
// computes and is not built.
PeftConfig parse_adapter_config(const Json& config, const std::string& where);

// adapter_config.json of a new adapter. Error(kInput) for a target that is no linear layer of `model`.
Json make_adapter_config(const AdapterOptions& options, const ModelSpec& model,
                         const std::string& base_model);

// Which of the model's layers a configuration is about. `tensors`: names of the adapter's, looked at where
// targets_are_in_tensors. Error(kModel) when there is none.
AdapterSpec plan_adapter(const PeftConfig& config, const ModelSpec& model,
                         const std::vector<std::string>& tensors, const std::string& where);

}  // namespace ddro::models
