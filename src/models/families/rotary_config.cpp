#include "models/families/rotary_config.h"

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

void refuse_partial_rotary(const ConfigReader& reader) {
  const Json* factor = reader.find("partial_rotary_factor");
  if (factor && (!factor->is_number() || factor->get<double>() != 1)) {
    reader.fail("partial_rotary_factor", "is not supported; got " + shown(*factor) + ", expected 1");
  }
}

RopeScaling parse_rope_scaling(const ConfigReader& rope) {
  refuse_partial_rotary(rope);
  const auto type = rope.text("rope_type");
  const auto old_type = rope.text("type");
  if (type && old_type && *type != *old_type)
    rope.fail("rope_type",
              "and type differ: \"" + printable(*type) + "\" and \"" + printable(*old_type) + "\"");
  const std::string name = type ? *type : old_type.value_or("default");
  RopeScaling scaling;
  if (name == "default") return scaling;
  if (name == "linear") {
    scaling.type = RopeScaling::Type::kLinear;
    scaling.factor = rope.required_positive("factor");
    return scaling;
  }
  if (name != "llama3") {
    rope.fail(type ? "rope_type" : "type",
              "\"" + printable(name) + "\" is not supported; expected default, linear or llama3");
  }
  scaling.type = RopeScaling::Type::kLlama3;
  scaling.factor = rope.required_positive("factor");
  scaling.low_freq_factor = rope.required_positive("low_freq_factor");
  scaling.high_freq_factor = rope.required_positive("high_freq_factor");
  scaling.original_max_position_embeddings = rope.required_positive("original_max_position_embeddings");
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.fail("high_freq_factor", "must be above low_freq_factor; got " +
                                      std::to_string(scaling.high_freq_factor) + " and " +
                                      std::to_string(scaling.low_freq_factor));
  }
  return scaling;
}

RotarySpec read_together(const ConfigReader& rope, std::optional<double> outer_theta) {
  for (const char* key : {"full_attention", "sliding_attention"}) {
    if (rope.find(key)) rope.fail(key, "is set; rotary parameters by layer type are not supported");
  }
  const RopeScaling scaling = parse_rope_scaling(rope);
  const auto theta = rope.positive("rope_theta");
  if (theta && outer_theta && *theta != *outer_theta) {
    rope.fail("rope_theta", "differs from the rope_theta outside; got " + std::to_string(*theta) + " and " +
                                std::to_string(*outer_theta));
  }
  return {theta.value_or(outer_theta.value_or(RotarySpec().theta)), scaling};
}

}  // namespace

RotarySpec read_rotary(const ConfigReader& config) {
  refuse_partial_rotary(config);
  const auto theta = config.positive("rope_theta");
  const bool apart = config.find("rope_scaling") != nullptr;
  const bool together = config.find("rope_parameters") != nullptr;
  if (apart && together)
    config.fail("rope_parameters", "and rope_scaling are both set; expected one of them");
  if (together) return read_together(config.object("rope_parameters"), theta);
  return {theta.value_or(RotarySpec().theta),
          apart ? parse_rope_scaling(config.object("rope_scaling")) : RopeScaling()};
}

}  // namespace ddro::models
