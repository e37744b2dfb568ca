// What a decoder-only language model is made of. A family's file (src/models/families) says it once, from
// config.json; the decoder, parameter names and shapes, operation counts, memory estimates and what `inspect`
// prints follow from it.
//
// x = embedding[ids]; for each layer: x += attention(norm(x)); x += feed_forward(norm(x)); then a final norm
// and the head. What differs from that is optional below: its default is its absence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/json.h"

namespace ddro::models {

// x W^T + b with the tensors NAME.weight (out x in) and, with a bias, NAME.bias (out). Without a name it has
// no tensors: it is a part of a fused one, or it is not there.
struct LinearSpec {
  std::string name;
  std::int64_t in = 0;
  std::int64_t out = 0;
  bool bias = false;
  bool transposed = false;   // NAME.weight is in x out
  std::int64_t stacked = 0;  // above 0: so many of them are in one, whose shapes begin with that number
  bool bare = false;         // the tensors are NAME and NAME_bias
  bool adaptable = true;     // a module of its own in Hugging Face's model: what an adapter may be on

  std::string weight_name() const { return bare ? name : name + ".weight"; }
  std::string bias_name() const { return name + (bare ? "_bias" : ".bias"); }
};

enum class NormKind {
  kRms,           // x / sqrt(mean(x^2) + eps) * w
  kRmsPlusOne,    // the same with 1 + w, rounded once
  kLayer,         // (x - mean(x)) / sqrt(variance(x) + eps) * w + b
  kLayerPlusOne,  // the same with 1 + w
};

// Over each `width` numbers, with the tensors NAME.weight (width) and, with a bias, NAME.bias (width).
struct NormSpec {
  std::string name;  // empty: no tensors
  std::int64_t width = 0;
  bool bias = false;
  std::int64_t heads = 0;  // above 0: each head has a weight of its own, heads x width
};

struct RopeScaling {
  enum class Type { kDefault, kLinear, kLlama3, kYarn, kLongRope };
  Type type = Type::kDefault;
  double factor = 1;                               // linear, llama3, yarn
  double low_freq_factor = 1;                      // llama3
  double high_freq_factor = 4;                     // llama3
  double original_max_position_embeddings = 8192;  // llama3, yarn, longrope
  double beta_fast = 32, beta_slow = 1;            // yarn
  bool truncate = true;                            // yarn
  std::vector<double> short_factor;                // longrope: of each frequency
  double attention_factor = 1;                     // yarn, longrope: of cosines and sines

  bool operator==(const RopeScaling&) const = default;
};

// The first `width` numbers of a head are pairs (j, j + width/2), or (2j, 2j + 1) when interleaved; they are
// turned by position * theta^(-2j/width), scaled.
struct RotarySpec {
  double theta = 10000;
  RopeScaling scaling;
  std::int64_t width = 0;  // 0: no rotary embedding
  bool interleaved = false;

  bool operator==(const RotarySpec&) const = default;
};

// Biases in the place of positions: each query head has a slope, from 2^(-bias_max / heads) down, and the
// score of a key that is d tokens before the query gets -slope d.
struct AlibiSpec {
  double bias_max = 8;
  // As Falcon has it: slope, position and product are rounded to bfloat16, and scaled as the scores are.
  bool in_bfloat16 = false;
};

// Causal; query head h reads key/value head h * num_key_value_heads / num_heads.
struct AttentionSpec {
  std::int64_t num_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  LinearSpec query, key, value, output;
  // Query, key and value at once: its outputs are `fused_groups` equal groups of query heads, the key heads
  // and the value heads that belong to them.
  LinearSpec fused;
  std::int64_t fused_groups = 1;
  std::optional<NormSpec> query_norm, key_norm;  // of each head or of all, before the rotary embedding
  bool norms_turned = false;                     // or behind it
  std::optional<double> clip;  // queries, keys and values are cut to [-clip, clip], behind the norms
  RotarySpec rotary;
  std::optional<AlibiSpec> alibi;
  std::string sinks_name;              // of a tensor of num_heads scores; empty: none
  std::optional<double> scale;         // of the scores; none: 1 / sqrt(head_dim)
  std::optional<double> softcap;       // scores become softcap * tanh(score / softcap)
  std::optional<std::int64_t> window;  // a token sees the last `window` tokens, itself included
};

enum class Activation { kSilu, kGelu, kGeluTanh, kRelu, kReluSquared };

// down(activation(gate(x)) * up(x)); without a gate down(activation(up(x))). With a limit
// down(g sigmoid(1.702 g) * (u + 1)), g = min(gate(x), limit), u = up(x) cut to [-limit, limit].
struct FeedForwardSpec {
  LinearSpec gate, up, down;
  LinearSpec fused;          // gate, then up, at once
  bool interleaved = false;  // in the fused product they take turns, number by number
  std::optional<double> limit = std::nullopt;
  Activation activation = Activation::kSilu;

  bool gated() const { return gate.out > 0; }
};

// Feed-forwards of one shape, of which a router chooses `top_k` for each token; their results add up,
// weighted by softmax(router(x)).
struct ExpertsSpec {
  LinearSpec router;  // its outputs are the experts
  std::int64_t top_k = 0;
  bool normalized = false;               // the softmax is over the chosen alone: their weights add up to 1
  std::vector<FeedForwardSpec> experts;  // one each; or one for all, whose tensors are stacked
  // Of every token, added to that: sigmoid(shared_gate(x)) * shared(x), or without a gate shared(x).
  std::optional<FeedForwardSpec> shared;
  LinearSpec shared_gate;

  std::int64_t num_experts() const { return router.out; }
  bool is_stacked() const { return experts.front().down.stacked > 0; }
  const FeedForwardSpec& expert(std::int64_t index) const {
    return is_stacked() ? experts.front() : experts[static_cast<size_t>(index)];
  }
};

struct LayerSpec {
  std::optional<NormSpec> input_norm;  // x itself becomes its norm
  std::optional<NormSpec> attention_norm;
  AttentionSpec attention;
  std::optional<NormSpec> post_attention_norm;  // of the result, before it is added to x
  std::optional<NormSpec> feed_forward_norm;
  FeedForwardSpec feed_forward;
  std::optional<ExpertsSpec> experts;  // in the place of a feed-forward
  std::optional<NormSpec> post_feed_forward_norm;
};

// Learned positions: row position + offset of the tensor (count + offset) x D is added to the embedding.
struct PositionSpec {
  std::string name;
  std::int64_t count = 0;
  std::int64_t offset = 0;
};

struct ModelSpec {
  std::string model_type;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t max_position_embeddings = 0;
  NormKind norm_kind = NormKind::kRms;
  double norm_eps = 1e-6;
  bool tie_word_embeddings = false;  // the head is the embedding
  // Attention and feed-forward of a layer both read x; a feed-forward without a norm reads the attention's.
  bool parallel_residual = false;
  double embedding_scale = 1;  // rounded to the dtype of the embedding
  double residual_scale = 1;   // of what attention and feed-forward add to x
  double logit_scale = 1;
  std::optional<double> logit_softcap;  // logits become softcap * tanh(logit / softcap)
  std::string embedding_name;           // of the tensor: V x D
  std::optional<PositionSpec> positions;
  std::string head_name;       // of the tensor, where it is not tied: V x D
  std::string head_bias_name;  // of the tensor of V numbers; empty: none
  NormSpec final_norm;
  std::vector<LayerSpec> layers;
  std::optional<double> router_aux_loss_coef;  // where the configuration asks for that loss
  std::vector<std::string> unused_settings;    // of the configuration, for the log: dropout, unknown keys
};

struct ParameterSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

// In the fixed order of CausalLm::parameters(); a tied head is absent.
std::vector<ParameterSpec> parameters_of(const ModelSpec& model);

// Of the layers that have experts: how many each has. 0: none has.
std::int64_t num_experts(const ModelSpec& model);

// Removes `prefix` from the names of tensors that begin with it.
void drop_prefix(ModelSpec& model, const std::string& prefix);

// The products with weights of all layers that an adapter may be on, in their order; the head is none of
// them.
std::vector<LinearSpec> linears_of(const ModelSpec& model);

// Multiplications of one token's forward in linear layers, the head excluded: of the experts, those chosen.
std::int64_t num_trunk_matmul_parameters(const ModelSpec& model);

// Models of equal weights (names and shapes are theirs) and equal descriptions compute the same.
Json describe(const ModelSpec& model);

// For people: "llama, 30 layers of width 576, ...".
std::string summary(const ModelSpec& model);

}  // namespace ddro::models

namespace ddro {

// As Hugging Face names them in hidden_act and its relatives.
template <>
struct EnumNames<models::Activation> {
  using E = models::Activation;
  static constexpr std::array<EnumName<E>, 7> kNames = {{{"silu", E::kSilu},
                                                         {"swish", E::kSilu},
                                                         {"gelu", E::kGelu},
                                                         {"gelu_new", E::kGeluTanh},
                                                         {"gelu_pytorch_tanh", E::kGeluTanh},
                                                         {"relu", E::kRelu},
                                                         {"relu2", E::kReluSquared}}};
};

}  // namespace ddro
