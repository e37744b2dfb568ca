#include "models/gguf_adapter.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "ddro/base/error.h"
#include "ddro/gguf/adapter_file.h"
#include "ddro/gguf/file_tensor.h"
#include "ddro/models/adapter_spec.h"
#include "ddro/ops/packed.h"
#include "models/adapter_targets.h"
#include "models/gguf_tensors.h"

namespace ddro::models {
namespace {

struct Target {
  LinearSpec linear;
  bool paired_rows = false;
};

// By the name that the file has for its weight.
using Targets = std::unordered_map<std::string, Target>;

Targets targets_of(const ModelSpec& model) {
  Targets targets;
  for (const LinearSpec& linear : linears_of(model)) {
    const auto weight = gguf::find_file_tensor(model.model_type, linear.weight_name());
    if (weight) targets[weight->name] = {linear, weight->paired_rows};
  }
  return targets;
}

void check_architecture(const GgufFile& file, const std::string& architecture, const ModelSpec& model) {
  if (!gguf::is_known_type(model.model_type))
    throw model_error("[" + file.where() + "] what GGUF adapters call the layers of " +
                      printable(model.model_type) + " is not known; expected a PEFT folder");
  const std::string expected = gguf::architecture_of_type(model.model_type);
  if (architecture != expected)
    throw model_error("[" + file.where() + "] is an adapter for the architecture \"" +
                      printable(architecture) + "\"; the base model is of \"" + expected + "\"");
}

// A factor of a layer, under its name in a PEFT folder.
struct Factor {
  std::string layer;
  std::string name;
  Tensor numbers;
  bool is_a = false;
};

Factor factor_of(const GgufTensor& tensor, const GgufFile& file, const Targets& targets,
                 const ModelSpec& model) {
  const auto refuse = [&](const std::string& what) {
    throw model_error("[" + file.where() + "] tensor " + printable(tensor.name) + " " + what);
  };
  const bool is_a = tensor.name.ends_with(gguf::kFactorA);
  const std::string suffix = is_a ? gguf::kFactorA : gguf::kFactorB;
  if (!tensor.name.ends_with(suffix))
    refuse("is no factor of a LoRA; expected NAME.weight" + std::string(gguf::kFactorA) + " or " +
           gguf::kFactorB);
  const auto target = targets.find(tensor.name.substr(0, tensor.name.size() - suffix.size()));
  if (target == targets.end()) refuse("is of no linear layer of the base model");
  if (tensor.shape.size() != 2)
    refuse("has " + std::to_string(tensor.shape.size()) + " dimensions, expected 2");
  const auto& [linear, paired_rows] = target->second;
  Tensor numbers = tensor_of(tensor, file.mapping());
  if (ops::is_packed(numbers)) numbers = ops::numbers_of(numbers, at::kFloat);
  const std::int64_t head_dim = model.layers.front().attention.head_dim;
  if (!is_a && paired_rows && numbers.size(0) == linear.out)
    numbers = without_pairs(numbers, linear.out / head_dim);
  const AdaptedLinear adapted{linear, 0, 0};
  return {linear.name, is_a ? adapted.a_name() : adapted.b_name(), numbers, is_a};
}

// As short as all-linear's where every layer of those names is among them.
std::vector<std::string> target_modules(const std::vector<std::string>& layers, const ModelSpec& model) {
  std::vector<std::string> names;
  for (const std::string& layer : layers) names.push_back(layer.substr(layer.rfind('.') + 1));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const auto linears = linears_of(model);
  const auto is_one = [&](const LinearSpec& linear) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return is_named(linear.name, name); });
  };
  const auto named = std::count_if(linears.begin(), linears.end(), is_one);
  return static_cast<size_t>(named) == layers.size() ? names : layers;
}

Json config_of(const gguf::AdapterKeys& keys, const std::vector<std::pair<std::string, std::int64_t>>& ranks,
               const ModelSpec& model) {
  std::vector<std::string> layers;
  Json patterns = Json::object();
  const std::int64_t rank = ranks.empty() ? 1 : ranks.front().second;
  for (const auto& [layer, own_rank] : ranks) {
    layers.push_back(layer);
    if (own_rank != rank) patterns[layer] = own_rank;
  }
  return {{"base_model_name_or_path", keys.base},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"lora_alpha", keys.alpha},
          {"lora_dropout", 0.0},
          {"modules_to_save", nullptr},
          {"peft_type", "LORA"},
          {"r", rank},
          {"rank_pattern", std::move(patterns)},
          {"target_modules", target_modules(layers, model)},
          {"task_type", "CAUSAL_LM"},
          {"use_dora", false},
          {"use_rslora", false}};
}

}  // namespace

PeftContent read_gguf_adapter(const std::filesystem::path& path, const ModelSpec& model) {
  const GgufFile file(path);
  const gguf::AdapterKeys keys = gguf::read_adapter_keys(file);
  check_architecture(file, keys.architecture, model);
  const Targets targets = targets_of(model);
  PeftContent content;
  std::vector<std::pair<std::string, std::int64_t>> ranks;  // of layers
  for (const GgufTensor& tensor : file.tensors()) {
    const Factor factor = factor_of(tensor, file, targets, model);
    content.tensors.emplace_back(factor.name, factor.numbers);
    if (factor.is_a) ranks.emplace_back(factor.layer, factor.numbers.size(0));
  }
  if (ranks.empty()) throw model_error("[" + file.where() + "] has no factor of a linear layer");
  content.config = config_of(keys, ranks, model);
  content.base_hash = keys.base_hash;
  return content;
}

}  // namespace ddro::models
