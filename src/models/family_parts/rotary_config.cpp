#include "models/family_parts/rotary_config.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

constexpr const char* kOriginal = "original_max_position_embeddings";
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

// transformers 5 takes the one beside the scaling's object where both are given, transformers 4 the one
// inside.
std::optional<double> original_positions(const ConfigReader& rope, const ConfigReader& config) {
  const auto inside = rope.positive(kOriginal), outside = config.positive(kOriginal);
  if (inside && outside && *inside != *outside) {
    rope.fail(kOriginal,
              "differs from the one outside; got " + printable(*inside) + " and " + printable(*outside));
  }
  return inside ? inside : outside;
}

RopeScaling read_llama3(const ConfigReader& rope, const ConfigReader& config) {
  RopeScaling scaling;
  scaling.type = RopeScaling::Type::kLlama3;
  scaling.factor = rope.required_positive("factor");
  scaling.low_freq_factor = rope.required_positive("low_freq_factor");
  scaling.high_freq_factor = rope.required_positive("high_freq_factor");
  const auto original = original_positions(rope, config);
  if (!original) rope.fail(kOriginal, "is missing");
  scaling.original_max_position_embeddings = *original;
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
  const auto original = original_positions(rope, config);
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

bool saved_by_transformers4(const ConfigReader& config) {
  const Json* version = config.find("transformers_version");
  return version && version->is_string() && version->get<std::string>().starts_with("4.");
}

// transformers 4 does not read the one inside where there is a factor.
std::optional<double> longrope_original(const ConfigReader& rope, const Surroundings& around, bool older) {
  std::optional<double> original = around.config.positive(kOriginal);
  if (!original) original = around.defaults.original_max_position_embeddings;
  const bool skips_inside = older && rope.find("factor") != nullptr;
  return original || skips_inside ? original : rope.positive(kOriginal);
}

double longrope_magnitude(double factor, double original) {
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original));
}

RopeScaling read_longrope(const ConfigReader& rope, const Surroundings& around) {
  RopeScaling scaling;
  scaling.type = RopeScaling::Type::kLongRope;
  scaling.short_factor = read_factors(rope, "short_factor", around.width);
  read_factors(rope, "long_factor", around.width);
  const bool older = saved_by_transformers4(around.config);
  const auto original = longrope_original(rope, around, older);
  const double positions = max_position_embeddings(around.config);
  scaling.original_max_position_embeddings = original.value_or(positions);
  if (const auto given = rope.positive("attention_factor")) {
    scaling.attention_factor = *given;
    return scaling;
  }
  // transformers 5 takes `factor` where it is given, transformers 4 the ratio of the contexts.
  const bool by_contexts = original && (older || !rope.find("factor"));
  scaling.attention_factor =
      longrope_magnitude(by_contexts ? positions / *original : rope.required_positive("factor"),
                         scaling.original_max_position_embeddings);
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
  if (name == "llama3") return read_llama3(rope, around.config);
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
  const auto outside = config.positive(defaults.partial_key);
  const auto inside = rope ? rope->positive("partial_rotary_factor") : std::nullopt;
  if (inside && outside && *inside != *outside) {
    rope->fail("partial_rotary_factor",
               "differs from the one outside; got " + printable(*inside) + " and " + printable(*outside));
  }
  const ConfigReader& reader = inside ? *rope : config;
  const char* key = inside ? "partial_rotary_factor" : defaults.partial_key;
  const double share = inside.value_or(outside.value_or(defaults.partial_rotary_factor));
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
    rope.ignore(
        {key_of(LayerKind::kFull), key_of(LayerKind::kSliding)});  // of both, where layers of one are none
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
