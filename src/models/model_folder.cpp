#include "ddro/models/model_folder.h"

#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <optional>

#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/log.h"
#include "ddro/gguf/model_files.h"
#include "ddro/models/model_config.h"
#include "ddro/models/packed_base.h"
#include "models/contained_file.h"
#include "models/gguf_weights.h"
#include "models/mxfp4.h"
#include "models/parameters.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 22;
constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{1} << 24;
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr const char* kOtherHeads[] = {"v_head.", "value_head.", "score.", "reward_head.", "classifier."};
constexpr const char* kTables[] = {".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias",
                                   ".attention.bias", ".attention.masked_bias"};

std::string shown(const fs::path& path) { return printable(path.string(), 400); }

Json read_json(const fs::path& file, const std::string& where, std::uint64_t max_bytes) {
  return parse_json(read_file(file, ErrorKind::kModel, max_bytes), where, ErrorKind::kModel);
}

// tensor name -> shard file name
std::map<std::string, std::string> read_weight_map(const fs::path& index_file, const std::string& where) {
  const Json index = read_json(index_file, where, kMaxIndexBytes);
  const auto weights = index.is_object() ? index.find("weight_map") : index.end();
  if (weights == index.end() || !weights->is_object())
    throw model_error("[" + where + "] weight_map is missing or not an object");
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : weights->items()) {
    if (!file.is_string())
      throw model_error("[" + where + "] weight_map names no file for " + printable(name));
    map[name] = file.get<std::string>();
  }
  return map;
}

void append_file(const SafetensorsFile& file, ModelFolder& folder) {
  for (const auto& [name, view] : file.tensors()) {
    folder.tensors.emplace_back(name, tensor_from_view(view, file.mapping()));
  }
  folder.weight_files.push_back(file.mapping());
}

void read_shards(const fs::path& index_file, ModelFolder& model) {
  const fs::path& folder = model.path;
  const std::string where = shown(folder / kIndexFile);
  const auto weight_map = read_weight_map(index_file, where);
  std::map<std::string, std::vector<std::string>> names_of_shard;
  for (const auto& [name, shard] : weight_map) names_of_shard[shard].push_back(name);
  std::map<std::string, fs::path> paths;  // every name is checked before any file is opened
  for (const auto& [shard, names] : names_of_shard) {
    const auto path = find_contained_file(folder, shard);
    if (!path) throw model_error("[" + where + "] its shard " + printable(shard) + " is missing");
    paths[shard] = *path;
  }
  for (const auto& [shard, names] : names_of_shard) {
    const SafetensorsFile file(paths.at(shard));
    for (const std::string& name : names) {
      if (!file.tensors().contains(name)) {
        throw model_error("[" + shown(folder / shard) + "] tensor " + printable(name) +
                          " is missing; the index says it is here");
      }
    }
    for (const auto& [name, view] : file.tensors()) {
      const auto entry = weight_map.find(name);
      if (entry == weight_map.end() || entry->second != shard) {
        throw model_error("[" + shown(folder / shard) + "] tensor " + printable(name) +
                          " is not listed for this file in " + kIndexFile);
      }
    }
    append_file(file, model);
  }
}

[[noreturn]] void refuse_without_weights(const fs::path& folder) {
  const std::string where = "[" + shown(folder) + "] ";
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string extension = entry->path().extension().string();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".ckpt") {
      throw model_error(
          where + "holds pickle weights only (" + printable(entry->path().filename().string()) +
          "), which can run code when they are read; convert them in Python with: "
          "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW, safe_serialization=True)");
    }
  }
  throw model_error(where + "has neither " + kWeightsFile + " nor " + kIndexFile);
}

void read_weights(ModelFolder& model) {
  if (const auto single = find_contained_file(model.path, kWeightsFile)) {
    append_file(SafetensorsFile(*single), model);
  } else if (const auto index = find_contained_file(model.path, kIndexFile)) {
    read_shards(*index, model);
  } else {
    refuse_without_weights(model.path);
  }
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

// What other trainers and model classes put on top of a trunk.
bool is_other_head(const std::string& name) {
  const auto begins = [&](const char* head) { return name.starts_with(head); };
  return std::any_of(std::begin(kOtherHeads), std::end(kOtherHeads), begins);
}

void drop_other_heads(NamedTensors& tensors, const std::string& where) {
  std::string list;
  for (const auto& [name, tensor] : tensors) {
    if (is_other_head(name)) list += (list.empty() ? "" : ", ") + printable(name);
  }
  if (list.empty()) return;
  log_warning("[" + where + "] heads of other tasks are left out: " + list);
  std::erase_if(tensors, [](const auto& named) { return is_other_head(named.first); });
}

// Tables that old exports store: rotary frequencies, and which positions a position sees.
bool is_table(const std::string& name) {
  const auto ends = [&](const char* table) { return name.ends_with(table); };
  return std::any_of(std::begin(kTables), std::end(kTables), ends);
}

// Tensors that say nothing new: tables, and a tied head that is stored a second time.
void drop_redundant(const ModelSpec& spec, NamedTensors& tensors, const std::string& where) {
  std::erase_if(tensors, [](const auto& named) { return is_table(named.first); });
  if (!spec.tie_word_embeddings) return;
  const auto find = [&](const std::string& name) {
    return std::find_if(tensors.begin(), tensors.end(),
                        [&](const auto& named) { return named.first == name; });
  };
  const auto head = find(spec.head_name);
  const auto embedding = find(spec.embedding_name);
  if (head == tensors.end() || embedding == tensors.end()) return;
  if (!same_bytes(head->second, embedding->second)) {
    throw model_error("[" + where + "] tensor " + spec.head_name + " differs from " + spec.embedding_name +
                      ", but config.json ties them (tie_word_embeddings); one of the two is wrong");
  }
  tensors.erase(head);
}

void log_unused_settings(const ModelSpec& spec, const std::string& where) {
  std::string list;
  for (const std::string& setting : spec.unused_settings) list += (list.empty() ? "" : ", ") + setting;
  if (!list.empty()) log_warning("[" + where + "] settings without effect here: " + list);
}

void hash_base(ModelFolder& folder) {
  folder.base_hash = hash_tensors(folder.tensors);
  folder.weights_hash = folder.base_hash;
}

// The matrices of blocks that a GGUF file has: as float32, or as they are.
enum class Blocks { kUnpacked, kPacked };

ModelFolder open_gguf_file(const fs::path& path, Blocks blocks) {
  const std::string name = "config.json";
  const gguf::ModelFiles files(path);
  ModelFolder folder;
  folder.path = path;
  folder.config_json = parse_json(files.read(name), files.place(name), ErrorKind::kModel);
  folder.spec = parse_model_config(folder.config_json, files.place(name));
  const GgufFile file(path);
  folder.tensors = match_parameters(folder.spec, read_gguf_weights(file), shown(path), ErrorKind::kModel,
                                    /*may_be_packed=*/true);
  if (blocks == Blocks::kUnpacked) folder.tensors = unpacked(std::move(folder.tensors));
  folder.weight_files = {file.mapping()};
  hash_base(folder);
  return folder;
}

ModelFolder open_base_folder(const fs::path& path, Remarks remarks, Blocks blocks) {
  if (is_gguf_file(path)) return open_gguf_file(path, blocks);
  const auto config_file = find_contained_file(path, "config.json");
  if (!config_file)
    throw model_error("[" + shown(path) + "] config.json is missing; expected a Hugging Face model folder");
  const std::string where = shown(path / "config.json");
  ModelFolder folder;
  folder.path = path;
  folder.config_json = read_json(*config_file, where, kMaxConfigBytes);
  folder.spec = parse_model_config(folder.config_json, where);
  if (remarks == Remarks::kLogged) log_unused_settings(folder.spec, where);
  read_weights(folder);
  if (has_mxfp4_weights(folder.config_json)) unpack_mxfp4(folder.tensors, shown(path));
  folder.spec = named_as(std::move(folder.spec), folder.tensors);
  drop_other_heads(folder.tensors, shown(path));
  drop_redundant(folder.spec, folder.tensors, shown(path));
  folder.tensors = match_parameters(folder.spec, folder.tensors, shown(path), ErrorKind::kModel);
  hash_base(folder);
  return folder;
}

// Of an adapter that PEFT has saved: it names its base and knows no hash.
void check_named_base(const ModelFolder& folder, const fs::path& adapter_path) {
  const std::string where = shown(adapter_path / "adapter_config.json");
  const Json named = folder.adapter->config.value("base_model_name_or_path", Json());
  if (folder.adapter->knows_base || !named.is_string() || named == "") return;
  std::optional<fs::path> there;
  try {
    there = adapter_base(adapter_path);
  } catch (const Error&) {  // it is not on this machine
  }
  std::error_code ignored;
  if (there && fs::equivalent(*there, folder.path, ignored)) return;
  if (there && !is_gguf_file(*there) && !is_gguf_file(folder.path)) {
    if (open_base_folder(*there, Remarks::kSilent, Blocks::kUnpacked).base_hash == folder.base_hash) return;
    throw model_error("[" + where + "] base_model_name_or_path is " + shown(*there) +
                      ", whose weights are not those of " + shown(folder.path) +
                      "; an adapter fits the base alone that it was trained on");
  }
  if (fs::path(named.get<std::string>()).filename() == folder.path.filename()) return;
  log_warning("[" + where + "] the adapter was trained on " + printable(named.get<std::string>()) +
              "; whether " + shown(folder.path) + " has the same weights is not known");
}

ModelFolder open_adapter(const fs::path& adapter_path, const fs::path& base_path, Blocks blocks) {
  if (is_adapter(base_path)) {
    throw model_error("[" + shown(base_path) + "] is an adapter; expected the base model of " +
                      shown(adapter_path));
  }
  ModelFolder folder = open_base_folder(base_path, Remarks::kLogged, blocks);
  folder.adapter = read_adapter(adapter_path, folder.spec, folder.base_hash);
  check_named_base(folder, adapter_path);
  folder.adapter_path = adapter_path;
  folder.weights_hash = hash_text(folder.base_hash + folder.adapter->hash);
  return folder;
}

ModelFolder open_any(const fs::path& path, Remarks remarks, Blocks blocks) {
  std::error_code error;
  if (!fs::is_directory(path, error) && !is_gguf_file(path))
    throw model_error("[" + shown(path) + "] there is no such folder");
  return is_adapter(path) ? open_adapter(path, adapter_base(path), blocks)
                          : open_base_folder(path, remarks, blocks);
}

}  // namespace

ModelFolder open_model_folder(const fs::path& path, Remarks remarks) {
  return open_any(path, remarks, Blocks::kUnpacked);
}

ModelFolder open_adapter_folder(const fs::path& adapter_path, const fs::path& base_path) {
  return open_adapter(adapter_path, base_path, Blocks::kUnpacked);
}

ModelFolder open_packed_folder(const fs::path& path) {
  return open_any(path, Remarks::kLogged, Blocks::kPacked);
}

ModelFolder open_packed_adapter_folder(const fs::path& adapter_path, const fs::path& base_path) {
  return open_adapter(adapter_path, base_path, Blocks::kPacked);
}

ModelFolder merge_adapter(const ModelFolder& folder, at::ScalarType type) {
  ModelFolder result = folder;
  const NamedTensors tensors =
      merged_weights(folder.spec, folder.tensors, folder.adapter->spec, folder.adapter->tensors, type);
  result.spec = with_own_head(folder.spec, tensors);
  result.tensors = match_parameters(result.spec, tensors, shown(folder.adapter_path), ErrorKind::kModel);
  result.adapter = std::nullopt;
  return result;
}

void ModelFolder::release_pages() const {
  for (const auto& file : weight_files) file->release_pages();
}

}  // namespace ddro::models
