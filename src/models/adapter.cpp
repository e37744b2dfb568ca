#include "ddro/models/adapter.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <functional>
#include <memory>
#include <unordered_map>

#include "ddro/base/files.h"
#include "ddro/base/gguf_file.h"
#include "ddro/base/hash.h"
#include "ddro/base/interruption.h"
#include "ddro/base/random.h"
#include "ddro/ops/packed.h"
#include "models/contained_file.h"
#include "models/gguf_adapter.h"
#include "models/parameters.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kAdapterStream = 0x61646170746572;  // "adapter"
constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 22;
constexpr const char* kWeightsFile = "adapter_model.safetensors";
constexpr const char* kBaseHash = "base_model_hash";

std::string shown(const fs::path& path) { return printable(path.string(), 400); }

using ByName = std::unordered_map<std::string, Tensor>;

at::ScalarType wide_type(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

// It is its own inverse.
Tensor weight_ED(const LinearSpec& linear, const Tensor& stored) {
  return linear.transposed ? stored.t() : stored;
}

Tensor uniform(const AdaptedLinear& each, std::uint64_t seed, std::uint64_t stream) {
  const double bound = 1 / std::sqrt(static_cast<double>(each.linear.in));
  Tensor values = at::empty({each.rank, each.linear.in}, at::kFloat);
  float* const out = values.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    out[i] = static_cast<float>(bound * (2 * random_unit(seed, stream, static_cast<std::uint64_t>(i)) - 1));
  }
  return values;
}

NamedTensors initial_tensors(const AdapterSpec& spec, const ByName& base, std::uint64_t run_seed,
                             at::ScalarType compute) {
  const at::ScalarType type = wide_type(compute);
  const std::uint64_t seed = random_bits(run_seed, kAdapterStream, 0);
  NamedTensors tensors;
  std::uint64_t stream = 0;
  for (const AdaptedLinear& each : spec.linears) {
    tensors.emplace_back(each.a_name(), uniform(each, seed, stream++).to(type));
    tensors.emplace_back(each.b_name(), at::zeros({each.linear.out, each.rank}, type));
    if (spec.dora)
      tensors.emplace_back(
          each.magnitude_name(),
          row_norms(weight_ED(each.linear, ops::numbers_of(base.at(each.linear.name + ".weight"), compute))));
  }
  for (const ParameterSpec& each : spec.saved) {
    const auto own = base.find(each.name);
    // A tied head: it starts as the embedding.
    tensors.emplace_back(kAdapterPrefix + each.name, ops::numbers_of(own->second, type));
  }
  return tensors;
}

std::string hash_adapter(const Adapter& adapter) {
  return hash_text(hash_tensors(adapter.tensors) + describe(adapter.spec).dump());
}

void refuse_without_weights(const fs::path& folder) {
  if (find_contained_file(folder, "adapter_model.bin")) {
    throw model_error(
        "[" + shown(folder) +
        "] holds pickle weights only (adapter_model.bin), which can run code when they are read; "
        "load it with PEFT and save_pretrained it again");
  }
  throw model_error("[" + shown(folder) + "] " + kWeightsFile + " is missing");
}

// `trained_on`: empty where the adapter's files do not say.
void check_base(const std::string& trained_on, const std::string& base_hash, const std::string& where) {
  if (trained_on.empty() || trained_on == base_hash) return;
  throw model_error("[" + where + "] was trained on another base model; got one with hash " + base_hash +
                    ", expected " + printable(trained_on, 40));
}

// What adapters are read from, with the names of its two parts for messages.
struct Source {
  PeftContent content;
  std::string config_where, weights_where;
};

Source open_folder(const fs::path& folder) {
  Source source{{}, shown(folder / "adapter_config.json"), shown(folder / kWeightsFile)};
  const auto config_file = find_contained_file(folder, "adapter_config.json");
  if (!config_file)
    throw model_error("[" + shown(folder) + "] adapter_config.json is missing; expected a PEFT folder");
  source.content.config = parse_json(read_file(*config_file, ErrorKind::kModel, kMaxConfigBytes),
                                     source.config_where, ErrorKind::kModel);
  parse_adapter_config(source.content.config, source.config_where);
  const auto weights = find_contained_file(folder, kWeightsFile);
  if (!weights) refuse_without_weights(folder);
  const SafetensorsFile file(*weights);
  for (const auto& [name, view] : file.tensors())
    source.content.tensors.emplace_back(name, tensor_from_view(view, file.mapping()));
  const auto hash = file.metadata().find(kBaseHash);
  if (hash != file.metadata().end()) source.content.base_hash = hash->second;
  return source;
}

}  // namespace

Adapter make_adapter(const AdapterOptions& options, const ModelSpec& model, const NamedTensors& base,
                     const std::string& base_model, std::uint64_t seed, at::ScalarType compute) {
  const at::NoGradGuard no_grad;
  Adapter adapter;
  adapter.config = make_adapter_config(options, model, base_model);
  adapter.spec = plan_adapter(parse_adapter_config(adapter.config, "adapter"), model, {}, "adapter");
  ByName by_name(base.begin(), base.end());
  if (model.tie_word_embeddings) by_name.emplace(model.head_name, by_name.at(model.embedding_name));
  adapter.tensors = initial_tensors(adapter.spec, by_name, seed, compute);
  adapter.hash = hash_adapter(adapter);
  return adapter;
}

Adapter read_adapter(const fs::path& path, const ModelSpec& model, const std::string& base_hash) {
  const bool is_file = is_gguf_file(path);
  Source source =
      is_file ? Source{read_gguf_adapter(path, model), shown(path), shown(path)} : open_folder(path);
  check_base(source.content.base_hash, base_hash, source.weights_where);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : source.content.tensors) names.push_back(name);
  const std::string cause = is_file ? "its other tensors" : "adapter_config.json";
  Adapter adapter;
  adapter.spec = plan_adapter(parse_adapter_config(source.content.config, source.config_where), model, names,
                              source.config_where);
  adapter.tensors = match_tensors(parameters_of(adapter.spec), source.content.tensors,
                                  {.where = source.weights_where,
                                   .kind = ErrorKind::kModel,
                                   .missing = cause + " and the base model call for it",
                                   .surplus = "is not what " + cause + " and the base model call for"});
  adapter.config = std::move(source.content.config);
  adapter.knows_base = !source.content.base_hash.empty();
  adapter.hash = hash_adapter(adapter);
  return adapter;
}

std::map<std::string, std::string> adapter_metadata(const std::string& base_hash) {
  return {{"format", "pt"}, {kBaseHash, base_hash}};
}

Tensor row_norms(const Tensor& weight_ED) {
  return at::linalg_vector_norm(weight_ED, 2, at::IntArrayRef{1}, /*keepdim=*/false,
                                wide_type(weight_ED.scalar_type()));
}

namespace {

Tensor numbers_of(const Tensor& stored) {
  return ops::is_packed(stored) ? ops::numbers_of(stored, at::kFloat) : stored;
}

std::vector<std::int64_t> sizes_of(const Tensor& stored) {
  return ops::is_packed(stored) ? ops::shape_of_numbers(stored) : stored.sizes().vec();
}

// The weight of one layer with what the adapter makes of it, computed in float32 at least.
Tensor merged(const Tensor& weight_ED, const AdaptedLinear& each, bool dora, const ByName& tensors,
              at::ScalarType type) {
  Tensor sum_ED = weight_ED.to(type, /*non_blocking=*/false, /*copy=*/true);
  sum_ED.addmm_(tensors.at(each.b_name()).to(type), tensors.at(each.a_name()).to(type), /*beta=*/1,
                each.scale);
  if (!dora) return sum_ED;
  const Tensor scale_E = tensors.at(each.magnitude_name()).to(type) / row_norms(sum_ED);
  return sum_ED.mul_(scale_E.unsqueeze(1));
}

}  // namespace

TensorSources merged_sources(const ModelSpec& model, const NamedTensors& base, const AdapterSpec& adapter,
                             const NamedTensors& tensors, at::ScalarType type) {
  const auto by_name = std::make_shared<const ByName>(tensors.begin(), tensors.end());
  std::unordered_map<std::string, AdaptedLinear> linears;
  for (const AdaptedLinear& each : adapter.linears) linears[each.linear.name + ".weight"] = each;
  TensorSources result;
  const auto add = [&](const std::string& name, const Tensor& stored) {
    const auto linear = linears.find(name);
    const auto saved = by_name->find(kAdapterPrefix + name);
    const Tensor kept = saved != by_name->end() ? saved->second : stored;
    std::function<Tensor()> fetch = [kept, type] { return numbers_of(kept).to(type); };
    if (linear != linears.end()) {
      fetch = [stored, by_name, each = linear->second, dora = adapter.dora, type] {
        const at::NoGradGuard no_grad;
        const Tensor sum_ED =
            merged(weight_ED(each.linear, numbers_of(stored)), each, dora, *by_name, wide_type(type));
        return weight_ED(each.linear, sum_ED).to(type).contiguous();
      };
    }
    result.push_back({name, type, sizes_of(stored), std::move(fetch)});
  };
  for (const auto& [name, tensor] : base) {
    add(name, tensor);
    const bool unties = model.tie_word_embeddings && name == model.embedding_name &&
                        (adapter.saves(model.head_name) || adapter.saves(name));
    if (unties) add(model.head_name, tensor);
  }
  return result;
}

NamedTensors merged_weights(const ModelSpec& model, const NamedTensors& base, const AdapterSpec& adapter,
                            const NamedTensors& tensors, at::ScalarType type) {
  NamedTensors result;
  for (const TensorSource& source : merged_sources(model, base, adapter, tensors, type)) {
    leave_if_interrupted();
    result.emplace_back(source.name, source.fetch());
  }
  return result;
}

}  // namespace ddro::models
