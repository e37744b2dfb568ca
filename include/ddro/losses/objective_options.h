// The `objective` section of a run's configuration.
#pragma once

#include <optional>
#include <set>
#include <string>

namespace ddro::losses {

enum class LossType { kDdro, kRdro, kSigmoid, kSft };
enum class Generator { kLogistic, kKl, kLsif, kBasu };
enum class Stabilizer { kCap, kNnbd, kNone };
enum class ClassReduction { kClassMean, kPooled };

struct ObjectiveOptions {
  LossType loss_type = LossType::kDdro;
  std::optional<double> alpha;  // mixture weight of preferred data; nullopt: auto, n+/(n+ + n-)
  Generator generator = Generator::kLogistic;
  double basu_power = 0.5;  // b of the basu generator
  Stabilizer stabilizer = Stabilizer::kCap;
  double max_weight = 10;  // cap on an unpreferred row's weight a r/(1 - a r)
  ClassReduction class_reduction = ClassReduction::kClassMean;
  double beta = 0.1;  // where the loss has one
  // Keys that the configuration names, as the members above are spelt; one that the loss has not is refused.
  std::set<std::string> explicitly_set;

  // Error(kInput) naming the dotted key: ranges, and options the loss does not have. Bounds that need alpha
  // are checked where alpha is known: here when it is given, else in make_objective.
  void validate() const;
};

// Whether `key` (a member's name) has a meaning for the loss chosen: basu_power only with generator basu,
// max_weight not with stabilizer none. A configuration that is to be read back must leave out the others.
bool uses_option(const ObjectiveOptions& options, const std::string& key);

bool needs_reference(LossType type);
bool needs_pairs(LossType type);
const char* loss_name(LossType type);

}  // namespace ddro::losses
