#include "ddro/models/model_config.h"

#include <algorithm>
#include <iterator>

#include "ddro/base/error.h"
#include "models/families/families.h"

namespace ddro::models {
namespace {

// "llama, mistral or qwen2"
std::string list_of_families() {
  std::string text;
  const size_t count = std::size(kFamilies);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += i + 1 == count ? " or " : ", ";
    text += kFamilies[i].model_type;
  }
  return text;
}

const Family& find_family(const ConfigReader& config) {
  const auto name = config.text("model_type");
  if (!name) config.fail("model_type", "is missing; this does not look like a Hugging Face config.json");
  const auto* const family = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                          [&](const Family& each) { return *name == each.model_type; });
  if (family == std::end(kFamilies)) {
    config.fail("model_type",
                "\"" + printable(*name) + "\" is not supported; expected " + list_of_families());
  }
  return *family;
}

}  // namespace

std::vector<KnownFamily> known_families() {
  std::vector<KnownFamily> all;
  for (const Family& family : kFamilies) all.push_back({family.model_type, family.models});
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
  return model;
}

}  // namespace ddro::models
