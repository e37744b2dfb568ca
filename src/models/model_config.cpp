#include "ddro/models/model_config.h"

#include <algorithm>

#include "ddro/base/error.h"
#include "models/family.h"
#include "models/unread_keys.h"

namespace ddro::models {
namespace {

// "llama, mistral or qwen2"
std::string list_of_families() {
  std::string text;
  for (const Family* family : families()) {
    if (!text.empty()) text += family == families().back() ? " or " : ", ";
    text += family->model_type;
  }
  return text;
}

const Family& find_family(const ConfigReader& config) {
  const auto name = config.text("model_type");
  if (!name) config.fail("model_type", "is missing; this does not look like a Hugging Face config.json");
  const auto family = std::find_if(families().begin(), families().end(),
                                   [&](const Family* each) { return *name == each->model_type; });
  if (family == families().end()) {
    config.fail("model_type",
                "\"" + printable(*name) + "\" is not supported; expected " + list_of_families());
  }
  return **family;
}

}  // namespace

std::vector<KnownFamily> known_families() {
  std::vector<KnownFamily> all;
  for (const Family* family : families()) all.push_back({family->model_type, family->models});
  return all;
}

bool has_mxfp4_weights(const Json& config) {
  const auto found = config.find("quantization_config");
  return found != config.end() && found->is_object() && found->value("quant_method", Json()) == "mxfp4";
}

ModelSpec parse_model_config(const Json& json, const std::string& where) {
  if (!json.is_object()) throw model_error("[" + where + "] is not a JSON object");
  const ConfigReader config(json, where);
  const Family& family = find_family(config);
  if (config.find("quantization_config") && !has_mxfp4_weights(json)) {
    config.fail("quantization_config", "is set; quantized weights are not supported, expected a float model");
  }
  ModelSpec model = family.read(config);
  model.model_type = family.model_type;
  for (std::string& setting : check_unread_keys(config, model))
    model.unused_settings.push_back(std::move(setting));
  return model;
}

}  // namespace ddro::models
