#include <ATen/ATen.h>

#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/gguf_writer.h"
#include "ddro/gguf/adapter_file.h"
#include "ddro/gguf/file_tensor.h"
#include "ddro/models/gguf_export.h"
#include "models/gguf_tensors.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

double alpha_of(const AdaptedLinear& adapted) { return adapted.scale * static_cast<double>(adapted.rank); }

// The file's readers scale each layer's product by `alpha` over its rank; where another scale is due, B has
// the rest of it.
void add_factors(GgufWriter& writer, const ModelSpec& model, const Adapter& adapter, double alpha) {
  const std::unordered_map<std::string, Tensor> tensors(adapter.tensors.begin(), adapter.tensors.end());
  for (const AdaptedLinear& each : adapter.spec.linears) {
    const gguf::FileTensor weight = gguf::file_tensor(model.model_type, each.linear.weight_name());
    Tensor b_ER = tensors.at(each.b_name());
    if (alpha_of(each) != alpha) b_ER = b_ER * (alpha_of(each) / alpha);
    if (weight.paired_rows) b_ER = with_pairs(b_ER, model.layers.front().attention.head_dim);
    const Tensor& a_RD = tensors.at(each.a_name());
    for (const auto& [suffix, factor] : {std::pair(gguf::kFactorA, a_RD), std::pair(gguf::kFactorB, b_ER)})
      add_tensor(writer, weight.name + suffix, factor.sizes().vec(), BlockType::kF32,
                 [factor = factor] { return factor; });
  }
}

// As readers of the format look for it, where it is a model of Hugging Face's hub; and as this program does.
void add_base(GgufWriter& writer, const std::string& name, const std::string& hash) {
  const size_t slash = name.find('/');
  std::error_code ignored;
  const bool on_hub = slash != std::string::npos && slash > 0 &&
                      name.find('/', slash + 1) == std::string::npos && !name.starts_with('.') &&
                      !fs::exists(name, ignored);
  if (on_hub) {
    writer.add_integer("general.base_model.count", 1);
    writer.add_text("general.base_model.0.name", name.substr(slash + 1));
    writer.add_text("general.base_model.0.organization", name.substr(0, slash));
    writer.add_text("general.base_model.0.repo_url", "https://huggingface.co/" + name);
  }
  if (!name.empty()) writer.add_text(gguf::kBaseName, name);
  writer.add_text(gguf::kBaseHash, hash);
}

}  // namespace

fs::path checked_gguf_target(const fs::path& out) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(out, ignored)))
    throw input_error("[" + printable(out.string(), 400) + "] exists; choose another name");
  return fs::absolute(out);
}

void check_gguf_adapter(const ModelSpec& model, const AdapterSpec& adapter) {
  gguf::architecture_of_type(model.model_type);
  if (adapter.dora) {
    throw input_error(
        "[export] a GGUF adapter has no magnitudes, which DoRA trains; expected LoRA, or the adapter merged "
        "(export.adapter, --adapter)");
  }
  if (!adapter.saved.empty()) {
    throw input_error(
        "[export] a GGUF adapter has low-rank factors alone, and " + printable(adapter.saved.front().name) +
        " was trained in full; expected LoRA alone, or the adapter merged (export.adapter, --adapter)");
  }
}

void export_gguf_adapter(const ModelSpec& model, const Adapter& adapter, const std::string& base_hash,
                         const fs::path& out) {
  check_gguf_adapter(model, adapter.spec);
  const double alpha = alpha_of(adapter.spec.linears.front());
  GgufWriter writer;
  writer.add_text("general.architecture", gguf::architecture_of_type(model.model_type));
  writer.add_text("general.type", "adapter");
  writer.add_text("adapter.type", "lora");
  writer.add_number("adapter.lora.alpha", static_cast<float>(alpha));
  add_base(writer, adapter.config.value("base_model_name_or_path", ""), base_hash);
  add_factors(writer, model, adapter, alpha);
  const fs::path target = fs::absolute(out);
  make_folder(target.parent_path());
  writer.write(target);
}

}  // namespace ddro::models
