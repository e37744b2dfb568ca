// adapter_config.json, in and out.
#include <algorithm>
#include <array>
#include <string_view>

#include "ddro/base/error.h"
#include "ddro/models/adapter_spec.h"
#include "models/adapter_targets.h"
#include "models/config_reader.h"

namespace ddro::models {
namespace {

constexpr std::int64_t kMaxRank = 1 << 16;

// Read here, or of no meaning for what an adapter computes.
constexpr std::array<std::string_view, 29> kKnownKeys = {"peft_type",
                                                         "task_type",
                                                         "base_model_name_or_path",
                                                         "r",
                                                         "lora_alpha",
                                                         "lora_dropout",
                                                         "use_rslora",
                                                         "use_dora",
                                                         "target_modules",
                                                         "modules_to_save",
                                                         "rank_pattern",
                                                         "alpha_pattern",
                                                         "init_lora_weights",
                                                         "fan_in_fan_out",
                                                         "exclude_modules",
                                                         "layers_to_transform",
                                                         "layers_pattern",
                                                         "auto_mapping",
                                                         "inference_mode",
                                                         "revision",
                                                         "peft_version",
                                                         "loftq_config",
                                                         "eva_config",
                                                         "corda_config",
                                                         "lora_ga_config",
                                                         "megatron_core",
                                                         "qalora_group_size",
                                                         "runtime_config",
                                                         "bias"};

// Those that change the base model, which is then not the one that the configuration names, need what only
// PEFT does at loading.
constexpr std::array<std::string_view, 3> kHarmlessInitialisations = {"gaussian", "eva", "orthogonal"};

bool is_off(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty()) || value == "none";
}

void refuse_unknown(const Json& json, const ConfigReader& config) {
  for (const auto& [key, value] : json.items()) {
    const bool known = std::find(kKnownKeys.begin(), kKnownKeys.end(), key) != kKnownKeys.end();
    if (!known && !is_off(value))
      config.fail(printable(key), "is not supported; got " + shown(value) + ", expected null or false");
  }
  if (const Json* bias = config.find("bias"); bias && !is_off(*bias))
    config.fail("bias", "is not supported; got " + shown(*bias) + ", expected \"none\"");
}

void check_kind(const ConfigReader& config) {
  const auto kind = config.text("peft_type");
  if (!kind) config.fail("peft_type", "is missing; this does not look like PEFT's adapter_config.json");
  if (*kind != "LORA") {
    config.fail("peft_type",
                "\"" + printable(*kind) + "\" is not supported; expected LORA (DoRA is its use_dora)");
  }
  const auto task = config.text("task_type");
  if (task && *task != "CAUSAL_LM")
    config.fail("task_type", "\"" + printable(*task) + "\" is not supported; expected CAUSAL_LM");
}

void check_initialisation(const ConfigReader& config) {
  const Json* value = config.find("init_lora_weights");
  if (!value || value->is_boolean()) return;
  const bool harmless =
      value->is_string() && std::find(kHarmlessInitialisations.begin(), kHarmlessInitialisations.end(),
                                      value->get<std::string>()) != kHarmlessInitialisations.end();
  if (!harmless) {
    config.fail("init_lora_weights",
                "is not supported; got " + shown(*value) +
                    ", which changes the base model; save the adapter as an ordinary LoRA (PEFT's "
                    "path_initial_model_for_weight_conversion)");
  }
}

std::vector<std::string> read_names(const ConfigReader& config, const char* key) {
  const Json* value = config.find(key);
  if (!value) return {};
  std::vector<std::string> names;
  if (!value->is_array()) config.fail(key, "is not a list of names; got " + shown(*value));
  for (const Json& name : *value) {
    if (!name.is_string() || name.get<std::string>().empty())
      config.fail(key, "is not a list of names; got " + shown(*value));
    names.push_back(name.get<std::string>());
  }
  return names;
}

// Letters that stand for themselves; a dot does, nearly, in a regular expression too.
bool is_plain_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
}

// Calls add(name, number) for each entry of a pattern.
template <typename Add>
void read_pattern(const ConfigReader& config, const char* key, const Add& add) {
  const Json* value = config.find(key);
  if (!value) return;
  if (!value->is_object()) config.fail(key, "is not an object; got " + shown(*value));
  for (const auto& item : value->items()) {
    const std::string& name = item.key();
    const Json& number = item.value();
    const std::string entry = std::string(key) + "." + printable(name);
    if (!is_plain_name(name)) config.fail(entry, "is a regular expression; expected the name of a layer");
    if (!number.is_number() || !(number.get<double>() > 0))
      config.fail(entry, "is out of range; got " + shown(number) + ", expected a number above 0");
    add(name, number, entry);
  }
}

void read_patterns(const ConfigReader& config, PeftConfig& result) {
  read_pattern(config, "rank_pattern",
               [&](const std::string& name, const Json& rank, const std::string& entry) {
                 if (!rank.is_number_integer() || rank.get<double>() > kMaxRank)
                   config.fail(entry, "is out of range; got " + shown(rank) + ", expected an integer");
                 result.rank_pattern.emplace_back(name, rank.get<std::int64_t>());
               });
  read_pattern(config, "alpha_pattern", [&](const std::string& name, const Json& alpha, const std::string&) {
    result.alpha_pattern.emplace_back(name, alpha.get<double>());
  });
}

void read_targets(const ConfigReader& config, PeftConfig& result) {
  const Json* targets = config.find("target_modules");
  if (!targets) config.fail("target_modules", "is missing");
  for (const char* key : {"exclude_modules", "layers_to_transform"}) {
    const Json* value = config.find(key);
    if (value && !is_off(*value)) result.targets_are_in_tensors = true;
  }
  if (targets->is_string()) result.targets_are_in_tensors = true;
  if (!result.targets_are_in_tensors) result.target_modules = read_names(config, "target_modules");
}

double read_dropout(const ConfigReader& config) {
  const Json* value = config.find("lora_dropout");
  if (!value) return 0;
  if (!value->is_number() || !(value->get<double>() >= 0 && value->get<double>() < 1))
    config.fail("lora_dropout", "is out of range; got " + shown(*value) + ", expected a number from 0 to 1");
  return value->get<double>();
}

// What PEFT asks of layers whose weights are stored as inputs x outputs; a model has them all or none.
bool any_transposed(const ModelSpec& model) {
  const std::vector<LinearSpec> linears = linears_of(model);
  return std::any_of(linears.begin(), linears.end(),
                     [](const LinearSpec& linear) { return linear.transposed; });
}

// Names of which each is a linear layer of the model.
std::vector<std::string> checked_targets(const AdapterOptions& options, const ModelSpec& model) {
  if (options.target_modules.is_all_linear()) return all_linear(model);
  const std::vector<LinearSpec> linears = linears_of(model);
  for (const std::string& target : options.target_modules.names) {
    const bool found = std::any_of(linears.begin(), linears.end(),
                                   [&](const LinearSpec& linear) { return is_named(linear.name, target); });
    if (found) continue;
    throw input_error("[adapter.target_modules] \"" + printable(target) +
                      "\" is no linear layer of the model; it has " + known_targets(model) +
                      "; embedding and head are trained in full by adapter.modules_to_save");
  }
  return options.target_modules.names;
}

void check_saved(const AdapterOptions& options, const ModelSpec& model) {
  std::vector<ParameterSpec> all = parameters_of(model);
  all.push_back({model.head_name, {}});
  for (const std::string& module : options.modules_to_save) {
    const bool found = std::any_of(all.begin(), all.end(),
                                   [&](const ParameterSpec& each) { return belongs_to(each.name, module); });
    if (!found) {
      throw input_error("[adapter.modules_to_save] \"" + printable(module) +
                        "\" is no module of the model; for instance embed_tokens or lm_head");
    }
  }
}

}  // namespace

PeftConfig parse_adapter_config(const Json& json, const std::string& where) {
  if (!json.is_object()) throw model_error("[" + where + "] is not a JSON object");
  const ConfigReader config(json, where);
  check_kind(config);
  refuse_unknown(json, config);
  check_initialisation(config);
  PeftConfig result;
  result.base_model_name_or_path = config.text("base_model_name_or_path").value_or("");
  result.dora = config.boolean("use_dora", false);
  result.rslora = config.boolean("use_rslora", false);
  result.r = config.integer("r", 1, kMaxRank).value_or(8);
  result.lora_alpha = config.positive("lora_alpha").value_or(8);
  result.lora_dropout = read_dropout(config);
  read_targets(config, result);
  result.modules_to_save = read_names(config, "modules_to_save");
  read_patterns(config, result);
  return result;
}

Json make_adapter_config(const AdapterOptions& options, const ModelSpec& model,
                         const std::string& base_model) {
  check_saved(options, model);
  return {
      {"base_model_name_or_path", base_model},
      {"bias", "none"},
      {"fan_in_fan_out", any_transposed(model)},
      {"inference_mode", true},
      {"init_lora_weights", true},
      {"lora_alpha", options.lora_alpha},
      {"lora_dropout", 0.0},
      {"modules_to_save", options.modules_to_save.empty() ? Json(nullptr) : Json(options.modules_to_save)},
      {"peft_type", "LORA"},
      {"r", options.r},
      {"target_modules", checked_targets(options, model)},
      {"task_type", "CAUSAL_LM"},
      {"use_dora", options.adapter_type == AdapterType::kDora},
      {"use_rslora", options.use_rslora}};
}

}  // namespace ddro::models
