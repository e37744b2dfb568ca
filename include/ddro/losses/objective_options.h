// The `objective` section of a run's configuration.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ddro/base/enum_names.h"

namespace ddro::losses {

enum class LossType {
  kDdro,
  kRdro,
  // Of pairs, with a reference.
  kSigmoid,
  kRobust,
  kHinge,
  kIpo,
  kExoPair,
  kNcaPair,
  kBcoPair,
  kSppoHard,
  kApoZero,
  kApoDown,
  kDiscopop,
  kSigmoidNorm,
  // Of pairs, without one.
  kSimpo,
  kCpo,
  kOrpo,
  // Of completions.
  kKto,
  kApoZeroUnpaired,
  kBco,
  kSft,
  kMixtureNll,
};

// One loss, or several that are added up.
struct LossTypes {
  LossTypes(LossType one) : all{one} {}  // NOLINT(google-explicit-constructor): one loss is the usual case
  LossTypes(std::initializer_list<LossType> several) : all(several) {}
  explicit LossTypes(std::vector<LossType> several) : all(std::move(several)) {}
  bool operator==(const LossTypes&) const = default;

  std::vector<LossType> all;
};

enum class Generator { kLogistic, kKl, kLsif, kBasu };
enum class Stabilizer { kCap, kCeiling, kNnbd, kNone };
enum class ClassReduction { kClassMean, kPooled };
enum class FDivergence { kReverseKl, kForwardKl, kJsDivergence, kAlphaDivergence };

struct ObjectiveOptions {
  LossTypes loss_type = LossType::kDdro;
  std::vector<double> loss_weights;  // of several losses, in their order; empty: 1 each
  std::optional<double> alpha;       // mixture weight of preferred data; nullopt: auto, n+/(n+ + n-)
  Generator generator = Generator::kLogistic;
  double basu_power = 0.5;  // b of the basu generator
  Stabilizer stabilizer = Stabilizer::kCap;
  // Cap on an unpreferred completion's weight a r/(1 - a r); nullopt: auto, grows with the samples seen.
  std::optional<double> max_weight;
  ClassReduction class_reduction = ClassReduction::kClassMean;
  double beta = 0.1;             // where the loss has one
  double label_smoothing = 0.0;  // assumed share of pairs whose labels are swapped, below 1/2
  FDivergence f_divergence_type = FDivergence::kReverseKl;
  double f_alpha_divergence_coef = 0.5;  // not 1, where the alpha-divergence is the reverse KL
  double discopop_tau = 0.05;
  double simpo_gamma = 0.5;         // target of the margin
  std::optional<double> cpo_alpha;  // weight of the likelihood term; nullopt: auto, 1 for cpo and 0 for simpo
  double desirable_weight = 1.0;    // of preferred completions
  double undesirable_weight = 1.0;  // of unpreferred completions
  // Keys that the configuration names, as the members above are spelt; one that the loss has not is refused.
  std::set<std::string> explicitly_set;

  // Error(kInput) naming the dotted key: ranges, and options the loss does not have. Bounds that need alpha
  // are checked where alpha is known: here when it is given, else in make_objective.
  void validate() const;
};

// Whether `key` (a member's name) has a meaning for one of the losses chosen, with the other options as they
// are: basu_power only with generator basu, max_weight not with stabilizer none. A configuration that is to
// be read back must leave out the others.
bool uses_option(const ObjectiveOptions& options, const std::string& key);

// Of several losses: whether one of them does.
bool needs_reference(const LossTypes& types);
bool needs_pairs(const LossTypes& types);
// Completions scored under other completions' prompts (BatchCounts::kl).
bool needs_mismatched(const LossTypes& types);

// "sigmoid"; of several, "sigmoid+sft".
std::string loss_name(const LossTypes& types);
// Every name that a loss can be called by, its own before others that users know it by.
std::vector<std::pair<std::string, LossType>> loss_names();

}  // namespace ddro::losses

namespace ddro {

template <>
struct EnumNames<losses::Generator> {
  using E = losses::Generator;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"logistic", E::kLogistic}, {"kl", E::kKl}, {"lsif", E::kLsif}, {"basu", E::kBasu}}};
};

template <>
struct EnumNames<losses::Stabilizer> {
  using E = losses::Stabilizer;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"cap", E::kCap}, {"ceiling", E::kCeiling}, {"nnbd", E::kNnbd}, {"none", E::kNone}}};
};

template <>
struct EnumNames<losses::ClassReduction> {
  using E = losses::ClassReduction;
  static constexpr std::array<EnumName<E>, 2> kNames = {
      {{"class_mean", E::kClassMean}, {"pooled", E::kPooled}}};
};

template <>
struct EnumNames<losses::FDivergence> {
  using E = losses::FDivergence;
  static constexpr std::array<EnumName<E>, 4> kNames = {{{"reverse_kl", E::kReverseKl},
                                                         {"forward_kl", E::kForwardKl},
                                                         {"js_divergence", E::kJsDivergence},
                                                         {"alpha_divergence", E::kAlphaDivergence}}};
};

}  // namespace ddro
