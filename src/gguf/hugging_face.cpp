#include "ddro/gguf/hugging_face.h"

#include <algorithm>

#include "ddro/gguf/adapter_file.h"
#include "gguf/architectures.h"
#include "gguf/tokenizer_files.h"

namespace ddro::gguf {
namespace {

constexpr const char* kTemplate = "tokenizer.chat_template";

// The end of a text, and that of a turn where it is another.
Json generation_config(const GgufFile& file) {
  Json config = Json::object();
  if (const auto id = file.integer("tokenizer.ggml.bos_token_id")) config["bos_token_id"] = *id;
  const auto end = file.integer("tokenizer.ggml.eos_token_id");
  const auto turn = file.integer("tokenizer.ggml.eot_token_id");
  if (end && turn && end != turn) {
    config["eos_token_id"] = {*end, *turn};
  } else if (end || turn) {
    config["eos_token_id"] = end ? *end : *turn;
  }
  if (const auto id = file.integer("tokenizer.ggml.padding_token_id")) config["pad_token_id"] = *id;
  return config;
}

// Empty for a name that is none of the architecture's.
std::string folder_name(const std::string& name, const Architecture& architecture) {
  const size_t number_end = name.find('.', 4), part_end = name.rfind('.');
  for (const PartName& outer : kOuterParts) {
    if (name.substr(0, part_end) == outer.name && name.ends_with(".weight"))
      return std::string(outer.folder_name) + ".weight";
  }
  if (!name.starts_with("blk.")) return "";
  if (number_end == std::string::npos || part_end <= number_end) return "";
  const std::string number = name.substr(4, number_end - 4),
                    part = name.substr(number_end + 1, part_end - number_end - 1);
  const auto found = std::find_if(architecture.parts.begin(), architecture.parts.end(),
                                  [&](const PartName& each) { return each.name == part; });
  if (found == architecture.parts.end()) return "";
  return "model.layers." + number + "." + std::string(found->folder_name) + name.substr(part_end);
}

std::int64_t heads_of_pairs(const GgufFile& file, const std::string& name, const Architecture& architecture) {
  const auto heads = [&](const char* key) {
    return static_cast<std::int64_t>(file.integer(std::string(architecture.name) + key).value_or(0));
  };
  if (!architecture.paired_rows) return 0;
  if (name.find(".attn_q.") != std::string::npos) return heads(".attention.head_count");
  if (name.find(".attn_k.") == std::string::npos) return 0;
  const std::int64_t own = heads(".attention.head_count_kv");
  return own > 0 ? own : heads(".attention.head_count");
}

}  // namespace

std::vector<std::string> file_names(const GgufFile& file) {
  if (is_adapter(file)) return {};
  std::vector<std::string> names = {"config.json", "generation_config.json", "tokenizer_config.json",
                                    has_sentencepiece(file) ? "tokenizer.model" : "tokenizer.json"};
  if (file.has(kTemplate)) names.emplace_back("chat_template.jinja");
  return names;
}

std::string file_content(const GgufFile& file, const std::string& name) {
  if (name == "chat_template.jinja") return *file.text(kTemplate);
  if (name == "tokenizer.model") return sentencepiece_model(file);
  const Architecture& architecture = architecture_of(file);
  if (name == "tokenizer.json") return tokenizer_json(file).dump();
  const Json json = name == "config.json"              ? model_config(file, architecture)
                    : name == "generation_config.json" ? generation_config(file)
                                                       : tokenizer_config(file, architecture);
  return json.dump(2) + "\n";
}

std::vector<ModelTensor> model_tensors(const GgufFile& file) {
  const Architecture& architecture = architecture_of(file);
  std::vector<ModelTensor> tensors;
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name == "rope_freqs.weight") continue;
    ModelTensor named{.name = folder_name(tensor.name, architecture), .tensor = &tensor};
    if (named.name.empty())
      throw model_error("[" + file.where() + "] tensor " + printable(tensor.name) +
                        " is not one of the architecture " + std::string(architecture.name));
    named.heads_of_pairs = heads_of_pairs(file, tensor.name, architecture);
    named.plus_one = architecture.plus_one && tensor.name.ends_with("norm.weight");
    tensors.push_back(std::move(named));
  }
  return tensors;
}

}  // namespace ddro::gguf
