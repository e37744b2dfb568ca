#include "models/family_parts/rotary_config.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

constexpr const char* kTypes = "default, linear, dynamic, llama3, yarn or longrope";

const char* key_of(LayerKind kind) {
  return kind == LayerKind::kSliding ? "sliding_attention" : "full_attention";
}

// What a scaling is computed from, beside its own object.
struct Surroundings {
  const ConfigReader& config;
  const RotaryDefaults& defaults;
  std::int64_t width = 0;
};

std::string read_type(const ConfigReader& rope) {
  const auto type = rope.text("rope_type");
  const auto old_type = rope.text("type");
  if (type && old_type && *type != *old_type)
    rope.fail("rope_type",
              "and type differ: \"" + printable(*type) + "\" and \"" + printable(*old_type) + "\"");
  return type ? *type : old_type.value_or("default");
}

double max_position_embeddings(const ConfigReader& config) {
  const auto positions = config.integer("max_position_embeddings", 1, kMaxPositions);
  if (!positions) config.fail("max_position_embeddings", "is missing; the rope scaling is relative to it");
  return static_cast<double>(*positions);
}

RopeScaling read_llama3(const ConfigReader& rope) {
  RopeScaling scaling;
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

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

RopeScaling read_yarn(const ConfigReader& rope, const ConfigReader& config) {
  RopeScaling scaling;
  scaling.type = RopeScaling::Type::kYarn;
  scaling.factor = rope.required_positive("factor");
  scaling.beta_fast = rope.positive("beta_fast").value_or(scaling.beta_fast);
  scaling.beta_slow = rope.positive("beta_slow").value_or(scaling.beta_slow);
  scaling.truncate = rope.boolean("truncate", true);
  const auto original = rope.positive("original_max_position_embeddings");
  scaling.original_max_position_embeddings = original ? *original : max_position_embeddings(config);
  const auto mscale = rope.positive("mscale"), mscale_all_dim = rope.positive("mscale_all_dim");
  const double inferred = mscale && mscale_all_dim ? yarn_magnitude(scaling.factor, *mscale) /
                                                         yarn_magnitude(scaling.factor, *mscale_all_dim)
                                                   : yarn_magnitude(scaling.factor, 1);
  scaling.attention_factor = rope.positive("attention_factor").value_or(inferred);
  return scaling;
}

std::vector<double> read_factors(const ConfigReader& rope, const char* key, std::int64_t width) {
  const auto factors = rope.positives(key);
  if (!factors) rope.fail(key, "is missing");
  if (static_cast<std::int64_t>(factors->size()) != width / 2) {
    rope.fail(key, "must have a number for each frequency; got " + std::to_string(factors->size()) +
                       ", expected " + std::to_string(width / 2));
  }
  return *factors;
}

RopeScaling read_longrope(const ConfigReader& rope, const Surroundings& around) {
  RopeScaling scaling;
  scaling.type = RopeScaling::Type::kLongRope;
  scaling.short_factor = read_factors(rope, "short_factor", around.width);
  read_factors(rope, "long_factor", around.width);
  std::optional<double> original = around.config.positive("original_max_position_embeddings");
  if (!original) original = rope.positive("original_max_position_embeddings");
  if (!original) original = around.defaults.original_max_position_embeddings;
  const double positions = max_position_embeddings(around.config);
  scaling.original_max_position_embeddings = original.value_or(positions);
  const auto given = rope.positive("attention_factor");
  const double factor = given ? 1 : original ? positions / *original : rope.required_positive("factor");
  const double inferred =
      factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(scaling.original_max_position_embeddings));
  scaling.attention_factor = given.value_or(inferred);
  return scaling;
}

RopeScaling read_scaling(const ConfigReader& rope, const Surroundings& around) {
  const std::string name = read_type(rope);
  RopeScaling scaling;
  if (name == "default") return scaling;
  if (name == "linear" || name == "dynamic") {
    scaling.factor = rope.required_positive("factor");
    if (name == "dynamic") return {};
    scaling.type = RopeScaling::Type::kLinear;
    return scaling;
  }
  if (name == "llama3") return read_llama3(rope);
  if (name == "yarn") return read_yarn(rope, around.config);
  if (name == "longrope" || name == "su") return read_longrope(rope, around);
  rope.fail(rope.find("rope_type") ? "rope_type" : "type",
            "\"" + printable(name) + "\" is not supported; expected " + kTypes);
}

void refuse_partial_rotary(const ConfigReader& reader) {
  const Json* factor = reader.find("partial_rotary_factor");
  if (factor && (!factor->is_number() || factor->get<double>() != 1)) {
    reader.fail("partial_rotary_factor", "is not supported; got " + shown(*factor) + ", expected 1");
  }
}

// Newer configurations have the share beside the other parameters, under one name for all families.
std::int64_t rotary_width(const ConfigReader& config, const ConfigReader* rope, std::int64_t head_dim,
                          const RotaryDefaults& defaults) {
  if (defaults.partial_key == nullptr) {
    refuse_partial_rotary(config);
    if (rope) refuse_partial_rotary(*rope);
    return head_dim;
  }
  const bool inside = rope && rope->find("partial_rotary_factor");
  const ConfigReader& reader = inside ? *rope : config;
  const char* key = inside ? "partial_rotary_factor" : defaults.partial_key;
  const double share = reader.positive(key).value_or(defaults.partial_rotary_factor);
  const auto width = static_cast<std::int64_t>(static_cast<double>(head_dim) * std::min(share, 1.0));
  if (share > 1 || width < 2 || width % 2 != 0) {
    reader.fail(key, "must leave an even part of a head's " + std::to_string(head_dim) + " numbers; got " +
                         printable(share));
  }
  return width;
}

RotarySpec read_together(const ConfigReader& rope, std::optional<double> outer_theta, Surroundings around,
                         std::int64_t head_dim) {
  around.width = rotary_width(around.config, &rope, head_dim, around.defaults);
  const RopeScaling scaling = read_scaling(rope, around);
  const auto theta = rope.positive("rope_theta");
  if (theta && outer_theta && *theta != *outer_theta) {
    rope.fail("rope_theta", "differs from the rope_theta outside; got " + std::to_string(*theta) + " and " +
                                std::to_string(*outer_theta));
  }
  return {theta.value_or(outer_theta.value_or(around.defaults.theta)), scaling, around.width,
          around.defaults.interleaved};
}

}  // namespace

bool rotary_is_by_layer_kind(const ConfigReader& config) {
  const Json* rope = config.find("rope_parameters");
  return rope && rope->is_object() &&
         (rope->contains(key_of(LayerKind::kFull)) || rope->contains(key_of(LayerKind::kSliding)));
}

RotarySpec read_rotary(const ConfigReader& config, std::int64_t head_dim, const RotaryDefaults& defaults,
                       LayerKind kind) {
  const auto theta = config.positive(defaults.theta_key);
  const bool apart = config.find("rope_scaling") != nullptr;
  Surroundings around{config, defaults};
  if (config.find("rope_parameters")) {
    if (apart) config.fail("rope_parameters", "and rope_scaling are both set; expected one of them");
    const ConfigReader rope = config.object("rope_parameters");
    if (!rotary_is_by_layer_kind(config)) return read_together(rope, theta, around, head_dim);
    return read_together(rope.object(key_of(kind)), theta, around, head_dim);
  }
  around.width = rotary_width(config, nullptr, head_dim, defaults);
  return {theta.value_or(defaults.theta),
          apart ? read_scaling(config.object("rope_scaling"), around) : RopeScaling(), around.width,
          defaults.interleaved};
}

std::int64_t max_positions(const RotarySpec& rotary, std::int64_t max_position_embeddings) {
  if (rotary.scaling.type != RopeScaling::Type::kLongRope) return max_position_embeddings;
  return std::min(max_position_embeddings,
                  static_cast<std::int64_t>(rotary.scaling.original_max_position_embeddings));
}

}  // namespace ddro::models
