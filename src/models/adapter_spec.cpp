#include "ddro/models/adapter_spec.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "ddro/base/error.h"
#include "models/adapter_targets.h"

namespace ddro::models {
namespace {

template <typename T>
T pattern_value(const std::vector<std::pair<std::string, T>>& patterns, const std::string& name,
                T otherwise) {
  for (const auto& [pattern, value] : patterns) {
    if (is_named(name, pattern)) return value;
  }
  return otherwise;
}

AdaptedLinear adapted(const LinearSpec& linear, const PeftConfig& config) {
  const std::int64_t rank = pattern_value(config.rank_pattern, linear.name, config.r);
  const double alpha = pattern_value(config.alpha_pattern, linear.name, config.lora_alpha);
  const auto divisor = static_cast<double>(rank);
  return {linear, rank, alpha / (config.rslora ? std::sqrt(divisor) : divisor)};
}

bool is_target(const LinearSpec& linear, const PeftConfig& config, const std::set<std::string>& tensors) {
  if (config.targets_are_in_tensors) return tensors.contains(AdaptedLinear{linear, 0, 0}.a_name());
  return std::any_of(config.target_modules.begin(), config.target_modules.end(),
                     [&](const std::string& target) { return is_named(linear.name, target); });
}

bool is_saved(const std::string& parameter, const PeftConfig& config) {
  return std::any_of(config.modules_to_save.begin(), config.modules_to_save.end(),
                     [&](const std::string& module) { return belongs_to(parameter, module); });
}

// A tied head that is trained in full becomes a tensor of its own.
std::vector<ParameterSpec> parameters_with_head(const ModelSpec& model) {
  std::vector<ParameterSpec> all = parameters_of(model);
  if (model.tie_word_embeddings) all.push_back({model.head_name, {model.vocab_size, model.hidden_size}});
  return all;
}

}  // namespace

const AdaptedLinear* AdapterSpec::find(const std::string& linear) const {
  const auto found = std::find_if(linears.begin(), linears.end(),
                                  [&](const AdaptedLinear& each) { return each.linear.name == linear; });
  return found == linears.end() ? nullptr : &*found;
}

bool AdapterSpec::saves(const std::string& parameter) const {
  return std::any_of(saved.begin(), saved.end(),
                     [&](const ParameterSpec& each) { return each.name == parameter; });
}

std::vector<ParameterSpec> parameters_of(const AdapterSpec& adapter) {
  std::vector<ParameterSpec> all;
  for (const AdaptedLinear& each : adapter.linears) {
    all.push_back({each.a_name(), {each.rank, each.linear.in}});
    all.push_back({each.b_name(), {each.linear.out, each.rank}});
    if (adapter.dora) all.push_back({each.magnitude_name(), {each.linear.out}});
  }
  for (const ParameterSpec& each : adapter.saved) all.push_back({kAdapterPrefix + each.name, each.shape});
  return all;
}

std::int64_t num_parameters(const AdapterSpec& adapter) {
  std::int64_t count = 0;
  for (const ParameterSpec& each : parameters_of(adapter)) {
    std::int64_t size = 1;
    for (const std::int64_t side : each.shape) size *= side;
    count += size;
  }
  return count;
}

Json describe(const AdapterSpec& adapter) {
  Json linears = Json::array();
  for (const AdaptedLinear& each : adapter.linears)
    linears.push_back({each.linear.name, each.rank, each.scale});
  Json saved = Json::array();
  for (const ParameterSpec& each : adapter.saved) saved.push_back(each.name);
  return {{"dora", adapter.dora}, {"linears", std::move(linears)}, {"saved", std::move(saved)}};
}

std::string summary(const AdapterSpec& adapter) {
  std::set<std::int64_t> ranks;
  for (const AdaptedLinear& each : adapter.linears) ranks.insert(each.rank);
  std::string text = adapter.dora ? "dora" : "lora";
  if (!ranks.empty()) {
    text += " of rank " + std::to_string(*ranks.begin());
    if (ranks.size() > 1) text += " to " + std::to_string(*ranks.rbegin());
    text += " on " + std::to_string(adapter.linears.size()) + " linear layers";
  }
  if (!adapter.saved.empty())
    text += ", " + std::to_string(adapter.saved.size()) + " tensors trained in full";
  return text;
}

AdapterSpec plan_adapter(const PeftConfig& config, const ModelSpec& model,
                         const std::vector<std::string>& tensors, const std::string& where) {
  const std::set<std::string> names(tensors.begin(), tensors.end());
  AdapterSpec adapter;
  adapter.dora = config.dora;
  for (const LinearSpec& linear : linears_of(model)) {
    // As in PEFT, what is trained in full gets no factors.
    if (!is_target(linear, config, names) || is_saved(linear.name + ".weight", config)) continue;
    adapter.linears.push_back(adapted(linear, config));
  }
  for (const ParameterSpec& parameter : parameters_with_head(model)) {
    if (is_saved(parameter.name, config)) adapter.saved.push_back(parameter);
  }
  if (adapter.linears.empty()) {
    throw model_error("[" + where + "] target_modules names no linear layer of this model; it has " +
                      known_targets(model));
  }
  return adapter;
}

}  // namespace ddro::models
