// A whole model as a GGUF file.
#include <ATen/ATen.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/gguf/file_tensor.h"
#include "ddro/gguf/llama3_rotary.h"
#include "ddro/gguf/model_files.h"
#include "ddro/models/gguf_export.h"
#include "ddro/models/model_config.h"
#include "ddro/ops/packed.h"
#include "models/gguf_tensors.h"

namespace ddro::models {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // of the blocks' layout

BlockType kept_type(at::ScalarType type) {
  if (type == at::kHalf) return BlockType::kF16;
  return type == at::kBFloat16 ? BlockType::kBF16 : BlockType::kF32;
}

BlockType block_type(GgufDType dtype, const Tensor& tensor) {
  const auto width = static_cast<size_t>(ops::shape_of_numbers(tensor).back());
  switch (dtype) {
    case GgufDType::kKeep:
      return kept_type(tensor.scalar_type());
    case GgufDType::kFloat32:
      return BlockType::kF32;
    case GgufDType::kBFloat16:
      return BlockType::kBF16;
    case GgufDType::kFloat16:
      return BlockType::kF16;
    case GgufDType::kQ8_0:
      return width % block_format(BlockType::kQ8_0).numbers == 0 ? BlockType::kQ8_0 : BlockType::kF16;
  }
  return BlockType::kF32;
}

// general.file_type: what most of the numbers are.
std::uint32_t file_type(BlockType type) {
  switch (type) {
    case BlockType::kF16:
      return 1;
    case BlockType::kQ8_0:
      return 7;
    case BlockType::kBF16:
      return 32;
    default:
      return 0;
  }
}

// Keys of one architecture.
class Keys {
 public:
  Keys(GgufWriter& writer, std::string architecture)
      : writer_(writer), prefix_(std::move(architecture) + ".") {}
  void integer(const std::string& key, std::int64_t value) {
    writer_.add_integer(prefix_ + key, static_cast<std::uint32_t>(value));
  }
  void number(const std::string& key, double value) {
    writer_.add_number(prefix_ + key, static_cast<float>(value));
  }
  void text(const std::string& key, const std::string& value) { writer_.add_text(prefix_ + key, value); }

 private:
  GgufWriter& writer_;
  std::string prefix_;
};

// One that sees all tokens, where there is one: its rotary embedding is the model's.
const LayerSpec& widest_layer(const ModelSpec& model) {
  const auto found = std::find_if(model.layers.begin(), model.layers.end(),
                                  [](const LayerSpec& layer) { return !layer.attention.window; });
  return found == model.layers.end() ? model.layers.front() : *found;
}

void add_attention(Keys& keys, const ModelSpec& model) {
  const AttentionSpec& attention = model.layers.front().attention;
  keys.integer("attention.head_count", attention.num_heads);
  keys.integer("attention.head_count_kv", attention.num_key_value_heads);
  keys.integer("attention.key_length", attention.head_dim);
  keys.integer("attention.value_length", attention.head_dim);
  keys.number("attention.layer_norm_rms_epsilon", model.norm_eps);
  for (const LayerSpec& layer : model.layers) {
    if (!layer.attention.window) continue;
    keys.integer("attention.sliding_window", *layer.attention.window);
    break;
  }
  if (attention.softcap) keys.number("attn_logit_softcapping", *attention.softcap);
  if (model.logit_softcap) keys.number("final_logit_softcapping", *model.logit_softcap);
}

// Llama 3's is a tensor.
void add_rotary(GgufWriter& writer, Keys& keys, const RotarySpec& rotary) {
  const RopeScaling& scaling = rotary.scaling;
  keys.integer("rope.dimension_count", rotary.width);
  keys.number("rope.freq_base", rotary.theta);
  if (scaling.type == RopeScaling::Type::kLlama3) {
    const auto divisors =
        gguf::llama3_divisors(rotary.theta, static_cast<size_t>(rotary.width / 2), scaling.factor);
    add_tensor(writer, "rope_freqs.weight", {rotary.width / 2}, BlockType::kF32,
               [divisors] { return at::tensor(divisors); });
  }
  const bool is_yarn = scaling.type == RopeScaling::Type::kYarn;
  if (!is_yarn && scaling.type != RopeScaling::Type::kLinear) return;
  keys.text("rope.scaling.type", is_yarn ? "yarn" : "linear");
  keys.number("rope.scaling.factor", scaling.factor);
  if (is_yarn)
    keys.integer("rope.scaling.original_context_length",
                 static_cast<std::int64_t>(scaling.original_max_position_embeddings));
}

void add_configuration(GgufWriter& writer, const ModelSpec& model) {
  Keys keys(writer, gguf::architecture_of_type(model.model_type));
  keys.integer("vocab_size", model.vocab_size);
  keys.integer("context_length", model.max_position_embeddings);
  keys.integer("embedding_length", model.hidden_size);
  keys.integer("block_count", static_cast<std::int64_t>(model.layers.size()));
  keys.integer("feed_forward_length", model.layers.front().feed_forward.up.out);
  add_attention(keys, model);
  add_rotary(writer, keys, widest_layer(model).attention.rotary);
}

// The name of the type apart, which files of one architecture share.
Json comparable(const ModelSpec& model) {
  Json all = describe(model);
  all.erase("model_type");
  return all;
}

Json read_back(const GgufFile& file, const std::string& where) {
  const std::string name = "config.json";
  const gguf::ModelFiles files(file.path());
  try {
    const Json config = parse_json(files.read(name), files.place(name), ErrorKind::kModel);
    return comparable(parse_model_config(config, files.place(name)));
  } catch (const Error& error) {
    throw input_error(where + " cannot say this configuration: " + error.what());
  }
}

}  // namespace

void add_gguf_model(GgufWriter& writer, const ModelSpec& model, const NamedTensors& tensors,
                    GgufDType dtype) {
  writer.add_text("general.architecture", gguf::architecture_of_type(model.model_type));
  writer.add_text("general.type", "model");
  writer.add_integer("general.file_type", file_type(block_type(dtype, tensors.front().second)));
  writer.add_integer("general.quantization_version", kQuantizationVersion);
  add_configuration(writer, model);
  const std::int64_t head_dim = model.layers.front().attention.head_dim;
  for (const auto& [name, tensor] : tensors) {
    const gguf::FileTensor file = gguf::file_tensor(model.model_type, name);
    const auto numbers = [file, tensor = tensor, head_dim] {
      const Tensor ordered = file.paired_rows ? with_pairs(tensor, head_dim) : tensor;
      return file.plus_one ? ordered.to(at::kFloat) + 1 : ordered;
    };
    add_tensor(writer, file.name, ops::shape_of_numbers(tensor),
               tensor.dim() > 1 ? block_type(dtype, tensor) : BlockType::kF32, numbers);
  }
}

void check_gguf_model(const GgufFile& file, const ModelSpec& model) {
  const std::string where = "[export] GGUF files of " + gguf::architecture_of_type(model.model_type);
  const Json own = comparable(model), read = read_back(file, where);
  for (const auto& [key, value] : own.items()) {
    if (read.value(key, Json()) == value) continue;
    throw input_error(where + " cannot say \"" + key + "\": " + printable(value.dump()) + "; they mean " +
                      printable(read.value(key, Json()).dump()));
  }
}

}  // namespace ddro::models
