// Metrics of a model on a set of preference rows. A set is one effective batch.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"
#include "ddro/dist/communicator.h"
#include "ddro/losses/metrics.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/log_probs.h"
#include "ddro/train/mismatched_completions.h"

namespace ddro::train {

struct Evaluation {
  losses::Metrics metrics;
  std::vector<losses::ScoredCompletion> completions;  // the set's completions in its order
};

class EvaluationSet {
 public:
  // `dataset` outlives the set. `reference` may be null when the objective reads none; the values of a live
  // one are computed by the first evaluation and kept.
  EvaluationSet(std::string name, const data::Dataset& dataset, const data::PackOptions& options,
                std::shared_ptr<const LogProbs> reference);

  const std::string& name() const { return name_; }

  // Of `policy`, or nullopt when `stop` became true between micro-batches. `ranks` share the work out, and
  // all get the same.
  std::optional<Evaluation> evaluate(const models::CausalLm& policy, const losses::Objective& objective,
                                     const std::function<bool()>& stop,
                                     const dist::Communicator& ranks = dist::alone());

 private:
  // False when `stop` became true.
  bool add_reference(std::vector<losses::ScoredCompletion>& completions, at::Device device,
                     const std::function<bool()>& stop, const dist::Communicator& ranks) const;
  void keep_reference(const std::vector<losses::ScoredCompletion>& completions,
                      const losses::Objective& objective);
  // Of a set that objective wants a reference point for; 0 for others.
  std::optional<double> kl(const models::CausalLm& policy, const losses::Objective& objective,
                           const std::function<bool()>& stop, const dist::Communicator& ranks);

  std::string name_;
  const data::Dataset* dataset_;
  data::PackOptions options_;
  data::SetPlan plan_;
  std::shared_ptr<const LogProbs> reference_;
  std::optional<MismatchedCompletions> mismatched_;  // made when an objective wants them
};

}  // namespace ddro::train
