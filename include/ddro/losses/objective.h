// Preference objectives on log-probabilities: value, and derivative with respect to each completion's
// log-probability. Pure functions of float64 numbers; the only definition of each loss in the project.
// Equations and golden values: docs/objectives.md.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ddro/base/batch_counts.h"
#include "ddro/base/error.h"
#include "ddro/losses/objective_options.h"

namespace ddro::losses {

// One completion of an effective batch.
struct ScoredCompletion {
  double logp = 0;      // log pi(y|x), nats, summed over completion tokens
  double ref_logp = 0;  // log pi_ref(y|x); 0 where the objective reads no reference
  bool chosen = true;   // preferred
  double weight = 1;    // counts as that many completions
  std::int64_t partner =
      -1;  // index (in the span given to evaluate) of the pair's other completion, -1 when unpaired
  std::int64_t num_tokens = 1;  // completion tokens
  double log_ratio() const { return logp - ref_logp; }
};

// The counts of completions that are an effective batch by themselves: an evaluation set, a file of
// log-probabilities. `kl` stays 0.
BatchCounts batch_counts(std::span<const ScoredCompletion> completions);

// max(0, weighted mean of the log-ratios of completions under prompts that are not theirs); 0 without any.
double kl_estimate(std::span<const ScoredCompletion> mismatched);

// The raw loss past its pole.
class PoleError : public Error {
 public:
  PoleError(const std::string& message, size_t index)
      : Error(ErrorKind::kNonFinite, message), index_(index) {}
  size_t index() const { return index_; }  // of the completion in the span given to evaluate

 private:
  size_t index_;
};

// Which completions a completion's derivative depends on; each includes the ones before it.
enum class Locality {
  kCompletion,  // itself
  kPair,        // itself and its partner
  kBatch,       // the whole effective batch
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual Locality locality() const = 0;
  virtual bool reads_reference() const = 0;
  // Whether evaluate wants BatchCounts::kl, for which completions are scored under other completions'
  // prompts.
  virtual bool needs_mismatched() const { return false; }
  // What rewards/* report of a completion: beta times its log-ratio, beta 1 where the loss has none; without
  // a reference what the loss compares completions by; NaN where it compares none.
  virtual double reward(const ScoredCompletion& completion) const = 0;
  // l* of the cap: log-ratios of unpreferred completions above it are capped; +infinity when there is no cap.
  virtual double cap_log_ratio(const BatchCounts&) const { return std::numeric_limits<double>::infinity(); }
  // Mixture weight that ratio/saturated is measured with: alpha as resolved; the data's own for a loss
  // without the option; NaN of a loss with neither option nor reference.
  virtual double alpha() const = 0;

  // Writes each completion's contribution to the loss (completion_loss: sums to the loss over the effective
  // batch; a pair's value goes half to either completion) and d loss / d logp. `completions` must be closed
  // under the objective's locality: partners present for kPair, the whole effective batch for kBatch. A class
  // that the batch lacks contributes nothing. Log-probabilities that are not numbers give results that are
  // not. Errors: PoleError for the raw loss past its pole; kInput for a completion without a partner where
  // pairs are needed, and for nnbd with a class missing.
  virtual void evaluate(std::span<const ScoredCompletion> completions, const BatchCounts& counts,
                        std::span<double> completion_loss, std::span<double> dloss_dlogp) const = 0;
};

// `data_alpha`: n+/(n+ + n-) of the training completions, used for alpha: auto. Error(kInput) for options
// that do not fit alpha (max_weight <= alpha/(1 - alpha)), or auto with one class only.
std::unique_ptr<Objective> make_objective(const ObjectiveOptions& options, double data_alpha);

}  // namespace ddro::losses
