// GPT-Neo: learned positions, layer norms, scores that are not scaled, and a window in some of the layers.
#include <algorithm>

#include "models/family.h"
#include "models/family_parts/gpt2_like.h"
#include "models/family_parts/llama_like.h"

namespace ddro::models {
namespace {

// attention_types, [[[kind, ...], times], ...], has a kind for each layer: true where it is local.
std::vector<bool> read_local_layers(const ConfigReader& config, size_t num_layers) {
  const Json published = Json::parse(R"([[["global", "local"], 12]])");
  const Json* given = config.find("attention_types");
  const Json& groups = given ? *given : published;
  const auto is_group = [](const Json& group) {
    return group.is_array() && group.size() == 2 && group[0].is_array() && !group[0].empty() &&
           group[1].is_number_unsigned();
  };
  std::vector<bool> local;
  Json names = Json::array();
  bool fits = groups.is_array() && std::all_of(groups.begin(), groups.end(), is_group);
  for (size_t i = 0; fits && i < groups.size(); ++i) {
    for (auto times = groups[i][1].get<std::uint64_t>(); fits && times > 0; --times) {
      for (const Json& kind : groups[i][0]) {
        fits &= (kind == "global" || kind == "local") && local.size() < num_layers;
        local.push_back(kind == "local");
        names.push_back(kind);
      }
    }
  }
  if (!fits || local.size() != num_layers) {
    config.fail("attention_types", "must say global or local for each of " + std::to_string(num_layers) +
                                       " layers, as [[[\"global\", \"local\"], 12]] does for 24; got " +
                                       shown(groups));
  }
  config.expect("attention_layers", names);  // transformers saves both, and reads these
  return local;
}

AttentionSpec read_attention(const ConfigReader& config, std::int64_t width) {
  AttentionSpec attention;
  attention.num_heads = attention.num_key_value_heads =
      config.integer("num_heads", 1, kMaxHeads).value_or(16);
  attention.head_dim = divide_heads(config, width, "num_heads", attention.num_heads);
  attention.scale = 1;
  return attention;
}

AttentionSpec attention_at(AttentionSpec attention, const std::string& name, std::int64_t width) {
  attention.query = {name + "q_proj", width, width};
  attention.key = {name + "k_proj", width, width};
  attention.value = {name + "v_proj", width, width};
  attention.output = {name + "out_proj", width, width, true};
  return attention;
}

ModelSpec read_gpt_neo(const ConfigReader& config) {
  refuse_dropout(config, {"attention_dropout", "embed_dropout", "resid_dropout"});
  ModelSpec model = read_gpt2_like(config, {.width = 2048,
                                            .positions = 2048,
                                            .num_layers = 24,
                                            .width_key = "hidden_size",
                                            .inner_key = "intermediate_size",
                                            .positions_key = "max_position_embeddings",
                                            .num_layers_key = "num_layers"});
  const AttentionSpec attention = read_attention(config, model.hidden_size);
  const std::int64_t window = config.integer("window_size", 1, kMaxPositions).value_or(256);
  const std::vector<bool> local = read_local_layers(config, model.layers.size());
  for (size_t i = 0; i < local.size(); ++i) {
    AttentionSpec& own = model.layers[i].attention;
    own = attention_at(attention, gpt2_layer_prefix(i) + "attn.attention.", model.hidden_size);
    if (local[i]) own.window = window;
  }
  return model;
}

}  // namespace

extern const Family family_gpt_neo = {"gpt_neo", "GPT-Neo, TinyStories", read_gpt_neo};

}  // namespace ddro::models
