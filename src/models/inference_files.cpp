#include <algorithm>
#include <array>

#include "ddro/base/files.h"
#include "ddro/base/utf8.h"
#include "ddro/gguf/hugging_face.h"
#include "models/contained_file.h"
#include "models/export.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 27;
constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 22;  // a file of a subfolder
constexpr std::uint64_t kMaxAllBytes = std::uint64_t{1} << 29;
constexpr const char* kConfig = "config.json";
constexpr const char* kGenerationConfig = "generation_config.json";
constexpr const char* kTemplateFile = "chat_template.jinja";
constexpr const char* kTemplateKey = "chat_template";

constexpr std::array kWeightEndings = {".safetensors", ".bin",       ".pt",     ".pth",
                                       ".ckpt",        ".gguf",      ".h5",     ".msgpack",
                                       ".onnx",        ".onnx_data", ".tflite", ".index.json"};
constexpr std::array kCodeEndings = {".py", ".pyc"};
// Of checkpoints: ours, transformers' and DeepSpeed's; adapter_config.json would turn the folder into an
// adapter whose weights are not there.
constexpr std::array kRunState = {"manifest.json",      "trainer.json",       "trainer_state.json",
                                  "train_results.json", "eval_results.json",  "all_results.json",
                                  "trainer_log.jsonl",  "training_args.json", "latest",
                                  "adapter_config.json"};

std::string shown(const fs::path& path) { return printable(path.string(), 400); }

bool ends_with_any(const std::string& name, const auto& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](const char* end) { return name.ends_with(end); });
}

bool is_foreign(const std::string& name) {
  return name.starts_with('.') || name.starts_with("README") || ends_with_any(name, kWeightEndings) ||
         ends_with_any(name, kCodeEndings) ||
         std::find(kRunState.begin(), kRunState.end(), name) != kRunState.end();
}

std::vector<std::string> sorted_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) throw model_error("[" + shown(folder) + "] cannot be listed: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

class Reader {
 public:
  explicit Reader(const fs::path& folder) : folder_(folder) {}

  std::vector<FolderFile> read() {
    for (const std::string& name : sorted_names(folder_)) {
      if (is_foreign(name)) continue;
      std::error_code ignored;
      if (fs::is_directory(folder_ / name, ignored)) {
        add_subfolder(name);
      } else if (const auto file = find_contained_file(folder_, name);
                 fs::file_size(*file) <= kMaxFileBytes) {
        add({name, read_file(*file, ErrorKind::kModel)});
      }
    }
    return std::move(files_);
  }

 private:
  void add(FolderFile file) {
    bytes_ += file.content.size();
    if (bytes_ > kMaxAllBytes) {
      throw model_error("[" + shown(folder_) +
                        "] holds more than 512 MiB beside its weights; what is no part of the model belongs "
                        "elsewhere");
    }
    files_.push_back(std::move(file));
  }

  void add_subfolder(const std::string& subfolder) {
    if (fs::is_symlink(folder_ / subfolder)) return;
    std::vector<FolderFile> texts;
    for (const std::string& name : sorted_names(folder_ / subfolder)) {
      auto text = read_text(subfolder, name);
      if (!text) return;
      texts.push_back({subfolder + "/" + name, std::move(*text)});
    }
    for (FolderFile& file : texts) add(std::move(file));
  }

  // A folder with a config.json is another model's, or an older state of this one.
  std::optional<std::string> read_text(const std::string& subfolder, const std::string& name) const {
    if (is_foreign(name) || name == kConfig || fs::is_directory(folder_ / subfolder / name)) return {};
    const fs::path file = *find_contained_file(folder_, name, subfolder);
    if (fs::file_size(file) > kMaxTextBytes) return {};
    std::string text = read_file(file, ErrorKind::kModel);
    if (find_invalid_utf8(text) != std::string::npos) return {};
    return text;
  }

  const fs::path& folder_;
  std::vector<FolderFile> files_;
  std::uint64_t bytes_ = 0;
};

std::vector<FolderFile> files_of(const GgufFile& file) {
  std::vector<FolderFile> files;
  for (const std::string& name : gguf::file_names(file))
    files.push_back({name, gguf::file_content(file, name)});
  return files;
}

const char* dtype_name(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return "float64";
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    default:
      return "float32";
  }
}

// Both spellings of the key: readers before transformers 4.56 know only torch_dtype.
void set_dtype(Json& config, at::ScalarType type) {
  config["torch_dtype"] = dtype_name(type);
  if (config.contains("dtype")) config["dtype"] = dtype_name(type);
}

struct Place {
  bool decides_end;       // nothing comes before it in saying where generation ends
  bool names_are_pieces;  // its names of tokens are those of the vocabulary's own entries
};

// What the options say about one JSON file of the folder.
void change(Json& json, const std::string& name, at::ScalarType type, const ExportOptions& options,
            const Place& place) {
  const bool has_ids = name == kConfig || name == kGenerationConfig;
  const bool has_names = name == "tokenizer_config.json" || name == "special_tokens_map.json";
  if (name == kConfig) set_dtype(json, type);
  if (name == kConfig) json.erase("quantization_config");  // what is written is unpacked
  if (name == kConfig && options.own_head) json["tie_word_embeddings"] = false;
  json.erase("auto_map");
  if (options.eos_token && has_ids) {
    const auto& ids = options.eos_token->ids;
    json["eos_token_id"] = ids.size() == 1 || !place.decides_end ? Json(ids.front()) : Json(ids);
  }
  if (options.eos_token && has_names && !place.names_are_pieces) json["eos_token"] = options.eos_token->text;
  if (options.chat_template && json.contains(kTemplateKey)) json[kTemplateKey] = *options.chat_template;
}

void change_file(FolderFile& file, const fs::path& source, at::ScalarType type, const ExportOptions& options,
                 const Place& place) {
  const std::string where = shown(source / file.name);
  const Json json = parse_json(file.content, where, ErrorKind::kModel);
  if (!json.is_object()) throw model_error("[" + where + "] is not a JSON object");
  Json changed = json;
  change(changed, file.name, type, options, place);
  if (changed != json) file.content = changed.dump(2) + "\n";
}

FolderFile* find(std::vector<FolderFile>& files, const std::string& name) {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

// Gemma's class takes the names of padding, end and beginning for the first pieces of a tokenizer.model: with
// another name for the end its own piece would be lost. Ids say where turns end then.
bool names_are_pieces(std::vector<FolderFile>& files) {
  const FolderFile* config = find(files, "tokenizer_config.json");
  if (!config || find(files, "tokenizer.json") || !find(files, "tokenizer.model")) return false;
  const Json json = parse_json(config->content, config->name, ErrorKind::kModel);
  const Json of_class = json.is_object() ? json.value("tokenizer_class", Json()) : Json();
  return of_class.is_string() && of_class.get<std::string>().starts_with("GemmaTokenizer");
}

void set_template(std::vector<FolderFile>& files, const std::string& text) {
  std::erase_if(files, [](const FolderFile& file) {
    return file.name == kTemplateFile || file.name.starts_with("additional_chat_templates/");
  });
  files.push_back({kTemplateFile, text});
}

std::vector<FolderFile> files_in(const fs::path& model) {
  return is_gguf_file(model) ? files_of(GgufFile(model)) : Reader(model).read();
}

// config.json stays that of the source.
void stand_in(std::vector<FolderFile>& files, std::vector<FolderFile> others) {
  for (FolderFile& other : others) {
    if (other.name == kConfig) continue;
    std::erase_if(files, [&](const FolderFile& file) { return file.name == other.name; });
    files.push_back(std::move(other));
  }
}

}  // namespace

std::vector<FolderFile> inference_files(const fs::path& source_folder, const NamedTensors& tensors,
                                        const ExportOptions& options) {
  std::vector<FolderFile> files = files_in(source_folder);
  if (options.text_folder) stand_in(files, files_in(*options.text_folder));
  if (!find(files, kConfig)) {
    throw model_error("[" + shown(source_folder) +
                      "] config.json is missing; expected a Hugging Face model folder");
  }
  // Named here or not at all: without it a tokenizer of this name would end turns with its class's own.
  if (options.eos_token && !find(files, "tokenizer_config.json"))
    files.push_back({"tokenizer_config.json", "{}"});
  if (options.chat_template) set_template(files, *options.chat_template);
  const at::ScalarType type = exported_type(options.dtype, tensors.front().second.scalar_type());
  const bool has_generation_config = find(files, kGenerationConfig) != nullptr;
  const bool are_pieces = names_are_pieces(files);
  for (const char* name : {kConfig, kGenerationConfig, "tokenizer_config.json", "special_tokens_map.json",
                           "processor_config.json", "chat_template.json"}) {
    const Place place = {name == kGenerationConfig || !has_generation_config, are_pieces};
    if (FolderFile* file = find(files, name)) change_file(*file, source_folder, type, options, place);
  }
  if (options.model_card) files.push_back({"README.md", *options.model_card});
  return files;
}

}  // namespace ddro::models
