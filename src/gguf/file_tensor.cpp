#include "ddro/gguf/file_tensor.h"

#include <algorithm>
#include <span>

#include "gguf/architectures.h"

namespace ddro::gguf {
namespace {

const Architecture& known_architecture(const std::string& model_type) {
  const Architecture* architecture = find_architecture(model_type);
  if (architecture) return *architecture;
  throw input_error("[export] what GGUF files call the tensors of " + printable(model_type) +
                    " is not known; expected a model of " + known_architectures());
}

// Empty for a part that is none of these.
std::string_view file_name(std::span<const PartName> parts, std::string_view folder_name) {
  const auto found = std::find_if(parts.begin(), parts.end(),
                                  [&](const PartName& each) { return each.folder_name == folder_name; });
  return found == parts.end() ? std::string_view() : found->name;
}

// model.layers.N.PART to blk.N.PART.
std::string layer_part(const Architecture& architecture, const std::string& stem) {
  const std::string begin = "model.layers.";
  const size_t dot = stem.find('.', begin.size());
  if (!stem.starts_with(begin) || dot == std::string::npos) return "";
  const std::string_view part = file_name(architecture.parts, stem.substr(dot + 1));
  return part.empty() ? "" : "blk." + stem.substr(begin.size(), dot - begin.size()) + "." + std::string(part);
}

}  // namespace

std::string architecture_of_type(const std::string& model_type) {
  return std::string(known_architecture(model_type).name);
}

bool is_known_type(const std::string& model_type) { return find_architecture(model_type) != nullptr; }

std::optional<FileTensor> find_file_tensor(const std::string& model_type, const std::string& name) {
  const Architecture& architecture = known_architecture(model_type);
  const size_t part_end = std::min(name.rfind('.'), name.size());
  const std::string stem = name.substr(0, part_end);
  const std::string_view outer = file_name(kOuterParts, stem);
  const std::string own = outer.empty() ? layer_part(architecture, stem) : std::string(outer);
  if (own.empty()) return std::nullopt;
  return FileTensor{
      .name = own + name.substr(part_end),
      .paired_rows = architecture.paired_rows && (own.ends_with(".attn_q") || own.ends_with(".attn_k")),
      .plus_one = architecture.plus_one && own.ends_with("norm")};
}

FileTensor file_tensor(const std::string& model_type, const std::string& name) {
  const auto found = find_file_tensor(model_type, name);
  if (found) return *found;
  throw input_error("[export] GGUF files of the architecture " + architecture_of_type(model_type) +
                    " have no tensor " + printable(name));
}

}  // namespace ddro::gguf
