// The `model` and `reference` sections of a run's configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ddro/base/enum_names.h"

namespace ddro::models {

enum class ComputeDType { kAuto, kFloat32, kBFloat16, kFloat64 };

// Of weights that stay frozen. kAuto: the type that the run computes in.
enum class BaseDType { kAuto, kStored };

struct ModelOptions {
  std::string model_name_or_path =
      "models/SmolLM2-135M-Instruct";  // a Hugging Face folder, org/name in the local cache, or a .gguf file
  ComputeDType dtype =
      ComputeDType::kAuto;  // bfloat16 with float32 masters on a GPU that has it, else float32
  BaseDType base_dtype = BaseDType::kAuto;
  bool gradient_checkpointing = false;
  std::optional<std::string> eos_token;  // text of the token that ends a turn; null: the folder's
  // Of the loss that balances experts; nullopt: config.json's, where its output_router_logits is true.
  std::optional<double> router_aux_loss_coef;

  void validate() const;  // Error(kInput) naming the dotted key
};

// How the policy's starting weights are trained to be the mixture of the rows of both classes, before the
// run.
struct ReferenceFit {
  double num_train_epochs = 0;  // at most so many; 0: they are taken as they are
  double learning_rate = 1e-5;
  std::int64_t early_stopping_patience = 2;  // as eval.early_stopping_patience

  bool operator==(const ReferenceFit&) const = default;
};

struct ReferenceOptions {
  std::optional<std::string> model_name_or_path;  // null: the policy's starting weights
  bool precompute_ref_log_probs = true;           // false: the reference stays in memory
  std::optional<std::string> ref_cache_dir;       // null: <train.output_dir>/ref_cache
  ReferenceFit fit;

  void validate() const;
};

// kAuto: the type that the run computes in.
enum class ExportType { kAuto, kFloat32, kBFloat16, kFloat16 };

// What is left of a run with an adapter: a PEFT folder, or a whole model with the adapter added to its
// weights.
enum class AdapterExport { kSeparate, kMerged };

// Of a GGUF file's matrices; norms and biases are float32. kKeep: as the given tensors are, float32 for
// packed ones.
enum class GgufDType { kKeep, kFloat32, kBFloat16, kFloat16, kQ8_0 };

// The `export` section: the model that a run leaves in final/.
struct ExportSettings {
  ExportType dtype = ExportType::kAuto;
  AdapterExport adapter = AdapterExport::kSeparate;
  std::optional<GgufDType> gguf;  // null: no GGUF file beside it
};

}  // namespace ddro::models

namespace ddro {

template <>
struct EnumNames<models::ComputeDType> {
  using E = models::ComputeDType;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"auto", E::kAuto}, {"float32", E::kFloat32}, {"bfloat16", E::kBFloat16}, {"float64", E::kFloat64}}};
};

template <>
struct EnumNames<models::BaseDType> {
  using E = models::BaseDType;
  static constexpr std::array<EnumName<E>, 2> kNames = {{{"auto", E::kAuto}, {"stored", E::kStored}}};
};

template <>
struct EnumNames<models::AdapterExport> {
  using E = models::AdapterExport;
  static constexpr std::array<EnumName<E>, 2> kNames = {{{"separate", E::kSeparate}, {"merged", E::kMerged}}};
};

template <>
struct EnumNames<models::ExportType> {
  using E = models::ExportType;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"auto", E::kAuto}, {"float32", E::kFloat32}, {"bfloat16", E::kBFloat16}, {"float16", E::kFloat16}}};
};

template <>
struct EnumNames<models::GgufDType> {
  using E = models::GgufDType;
  static constexpr std::array<EnumName<E>, 5> kNames = {{{"keep", E::kKeep},
                                                         {"float32", E::kFloat32},
                                                         {"bfloat16", E::kBFloat16},
                                                         {"float16", E::kFloat16},
                                                         {"q8_0", E::kQ8_0}}};
};

}  // namespace ddro
