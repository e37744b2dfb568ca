#include "run/reference_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "ddro/base/error.h"
#include "ddro/base/log.h"
#include "ddro/base/progress.h"
#include "ddro/train/score.h"

namespace ddro::run {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kVerifiedExamples = 8;
constexpr std::chrono::seconds kSyncInterval{5};
constexpr std::chrono::seconds kLogInterval{30};

const data::EncodedSequence& sequence_of(const data::Dataset& set, const data::PackedCompletion& completion) {
  return set.examples[static_cast<size_t>(completion.example)]
      .sequences[static_cast<size_t>(completion.sequence)];
}

// "pairs.jsonl:7 (rejected)"
std::string row_name(const data::Dataset& set, const data::PackedCompletion& completion) {
  const std::string where = set.wheres[static_cast<size_t>(completion.example)];
  if (completion.partner < 0) return where;
  return where +
         (completion.completion_class == data::CompletionClass::kChosen ? " (chosen)" : " (rejected)");
}

bool has_missing_row(const data::ReferenceCache& cache, const data::Dataset& set,
                     const std::vector<data::PackedCompletion>& completions) {
  return std::any_of(completions.begin(), completions.end(), [&](const data::PackedCompletion& completion) {
    return !cache.find(sequence_of(set, completion));
  });
}

// Up to kVerifiedExamples examples whose rows are all in the cache, evenly spread over all sets: for each
// set, indices into its examples.
std::vector<std::vector<std::int64_t>> examples_to_verify(const data::ReferenceCache& cache,
                                                          const std::vector<ReadRows>& sets) {
  std::vector<std::pair<size_t, std::int64_t>> candidates;
  for (size_t i = 0; i < sets.size(); ++i) {
    for (const std::int64_t example : sets[i].examples()) {
      const auto& sequences = sets[i].set().examples[static_cast<size_t>(example)].sequences;
      if (std::all_of(sequences.begin(), sequences.end(), [&](const auto& s) { return cache.find(s); }))
        candidates.emplace_back(i, example);
    }
  }
  std::sort(candidates.begin(), candidates.end());
  std::vector<std::vector<std::int64_t>> chosen(sets.size());
  const size_t count = std::min(kVerifiedExamples, candidates.size());
  for (size_t k = 0; k < count; ++k) {
    const auto& [set, example] = candidates[k * candidates.size() / count];
    chosen[set].push_back(example);
  }
  return chosen;
}

void check_row(const data::ReferenceCache& cache, const data::Dataset& set,
               const data::PackedCompletion& completion, double computed, double tolerance) {
  const data::EncodedSequence& sequence = sequence_of(set, completion);
  const double cached = *cache.find(sequence);
  const auto tokens = sequence.num_completion_tokens();
  if (std::fabs(cached - computed) <= tolerance * static_cast<double>(tokens)) return;
  throw model_error("[" + printable(cache.path().string(), 400) + "] does not fit the reference: for " +
                    row_name(set, completion) + " it has " + printable(cached) + ", the reference gives " +
                    printable(computed) + "; expected at most " + printable(tolerance) +
                    " nats a token apart over " + std::to_string(tokens) +
                    " tokens; remove the file, it is computed again");
}

// One fill: what is shared between its sets.
class CacheFill {
 public:
  CacheFill(data::ReferenceCache& cache, const models::CausalLm& reference, const ReferenceCoverage& before,
            std::int64_t num_batches, const dist::Communicator& ranks)
      : cache_(cache),
        reference_(reference),
        writer_(cache, static_cast<std::uint64_t>(before.rows - before.found)),
        num_batches_(num_batches),
        ranks_(ranks),
        progress_("reference", num_batches) {}

  // False when stopped.
  bool run(const ReadRows& rows, const std::function<bool()>& stop) {
    const at::Device device = reference_.head_weight().device();
    for (std::int64_t i = 0; i < rows.num_cuts(); ++i) {
      const auto cut = rows.cut(i);
      const bool done =
          train::score(
              train::ModelLogProbs(reference_), *cut, device,
              {.ranks = ranks_,
               .stop = stop,
               .wanted =
                   [&](std::int64_t b) { return has_missing_row(cache_, rows.set(), cut->completions(b)); },
               .scored = [&](const auto& batch, const auto& logp) { add(rows.set(), batch, logp); }})
              .has_value();
      if (!done) return false;
    }
    return true;
  }

  // Makes what was written durable, and says how it went.
  void finish(const std::string& outcome) {
    writer_.sync();
    progress_.clear();
    log_info("reference: " + outcome + ", " + std::to_string(written_) + " log-probabilities written to " +
             printable(cache_.path().string(), 400) + " in " + format_duration(seconds()) + " (" +
             std::to_string(std::llround(tokens_per_second())) + " tokens/s)");
  }

 private:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double tokens_per_second() const { return static_cast<double>(tokens_) / std::max(seconds(), 1e-9); }

  void add(const data::Dataset& set, const std::vector<data::PackedCompletion>& completions,
           const std::vector<double>& logp) {
    std::vector<data::ReferenceRecord> records;
    for (size_t i = 0; i < logp.size(); ++i) {
      const data::EncodedSequence& sequence = sequence_of(set, completions[i]);
      if (!std::isfinite(logp[i])) {
        throw model_error("[reference] the log-probability of " + row_name(set, completions[i]) +
                          " is not finite; got " + printable(logp[i]) +
                          "; the model's weights are broken, or the numbers overflow in model.dtype");
      }
      records.push_back(
          {data::row_hash(sequence), logp[i], static_cast<std::uint32_t>(sequence.num_completion_tokens())});
      tokens_ += static_cast<std::int64_t>(sequence.ids.size());
    }
    written_ += static_cast<std::int64_t>(writer_.append(records));
    progress_.update(++done_, tokens_per_second());
    report();
  }

  void report() {
    const auto now = Clock::now();
    if (now - synced_ >= kSyncInterval) {
      writer_.sync();
      synced_ = now;
    }
    if (now - logged_ >= kLogInterval) {
      progress_.clear();
      log_info("reference: " + std::to_string(done_) + "/" + std::to_string(num_batches_) +
               " micro-batches, " + std::to_string(std::llround(tokens_per_second())) + " tokens/s");
      logged_ = now;
    }
  }

  data::ReferenceCache& cache_;
  const models::CausalLm& reference_;
  data::ReferenceCacheWriter writer_;
  std::int64_t num_batches_;
  const dist::Communicator& ranks_;
  std::int64_t done_ = 0;
  std::int64_t written_ = 0;
  std::int64_t tokens_ = 0;
  Progress progress_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point synced_ = start_;
  Clock::time_point logged_ = start_;
};

}  // namespace

ReadRows::ReadRows(const data::Dataset& set, const data::PackOptions& options)
    : set_(&set),
      options_(options),
      whole_(true),
      examples_(set.examples.size()),
      begins_{0, examples_.size()} {
  std::iota(examples_.begin(), examples_.end(), 0);
}

ReadRows::ReadRows(const data::Dataset& set, const data::PackOptions& options,
                   const data::StratifiedSampler& sampler, std::int64_t num_steps)
    : ReadRows(set, options) {
  whole_ = false;
  examples_.clear();
  begins_ = {0};
  std::vector<bool> is_read(set.examples.size());
  data::SamplerState place;
  for (std::int64_t step = 0; step < num_steps && examples_.size() < is_read.size(); ++step) {
    for (const std::int64_t example : sampler.step(place)) {
      if (!is_read[static_cast<size_t>(example)]) examples_.push_back(example);
      is_read[static_cast<size_t>(example)] = true;
    }
    if (examples_.size() > begins_.back()) begins_.push_back(examples_.size());
    place = sampler.next(place);
  }
}

std::unique_ptr<data::MicroBatches> ReadRows::cut(std::int64_t index) const {
  if (whole_) return std::make_unique<data::SetPlan>(*set_, options_);
  const auto i = static_cast<size_t>(index);
  const auto examples = std::span(examples_).subspan(begins_[i], begins_[i + 1] - begins_[i]);
  return std::make_unique<data::StepPlan>(data::plan_step(*set_, examples, options_));
}

ReferenceCoverage coverage(const data::ReferenceCache& cache, const std::vector<ReadRows>& sets) {
  ReferenceCoverage result;
  for (const ReadRows& rows : sets) {
    for (const std::int64_t example : rows.examples()) {
      for (const data::EncodedSequence& sequence :
           rows.set().examples[static_cast<size_t>(example)].sequences) {
        ++result.rows;
        if (cache.find(sequence)) ++result.found;
      }
    }
  }
  return result;
}

std::int64_t num_missing_batches(const data::ReferenceCache& cache, const std::vector<ReadRows>& sets) {
  std::int64_t count = 0;
  for (const ReadRows& rows : sets) {
    for (std::int64_t i = 0; i < rows.num_cuts(); ++i) {
      const auto cut = rows.cut(i);
      for (std::int64_t b = 0; b < cut->num_micro_batches(); ++b)
        count += has_missing_row(cache, rows.set(), cut->completions(b));
    }
  }
  return count;
}

void verify_reference_cache(const data::ReferenceCache& cache, const models::CausalLm& reference,
                            const std::vector<ReadRows>& sets) {
  const double tolerance = train::log_prob_tolerance(reference.head_weight().scalar_type());
  const auto chosen = examples_to_verify(cache, sets);
  std::int64_t verified = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    const data::StepPlan plan = data::plan_step(sets[i].set(), chosen[i], sets[i].options());
    train::score(train::ModelLogProbs(reference), plan, reference.head_weight().device(),
                 {.scored = [&](const std::vector<data::PackedCompletion>& completions,
                                const std::vector<double>& logp) {
                   for (size_t j = 0; j < logp.size(); ++j)
                     check_row(cache, sets[i].set(), completions[j], logp[j], tolerance);
                 }});
    verified += plan.num_completions();
  }
  log_info("reference: " + std::to_string(verified) +
           " of the cached log-probabilities computed again, all fit");
}

bool fill_reference_cache(data::ReferenceCache& cache, const models::CausalLm& reference,
                          const std::vector<ReadRows>& sets, const std::function<bool()>& stop,
                          const dist::Communicator& ranks) {
  CacheFill fill(cache, reference, coverage(cache, sets), num_missing_batches(cache, sets), ranks);
  for (const ReadRows& rows : sets) {
    if (fill.run(rows, stop)) continue;
    fill.finish("stopped");
    return false;
  }
  fill.finish("done");
  return true;
}

// The calls of score() are those of CacheFill.
void help_fill_reference_cache(const models::CausalLm& reference, const std::vector<ReadRows>& sets,
                               const std::function<bool()>& stop, const dist::Communicator& ranks) {
  const at::Device device = reference.head_weight().device();
  for (const ReadRows& rows : sets) {
    for (std::int64_t i = 0; i < rows.num_cuts(); ++i) {
      if (!train::score(train::ModelLogProbs(reference), *rows.cut(i), device,
                        {.ranks = ranks, .stop = stop}))
        return;
    }
  }
}

std::vector<double> reference_values(const data::ReferenceCache& cache, const data::Dataset& dataset) {
  std::vector<double> values;
  for (const data::EncodedExample& example : dataset.examples) {
    for (const data::EncodedSequence& sequence : example.sequences)
      values.push_back(cache.find(sequence).value_or(std::numeric_limits<double>::quiet_NaN()));
  }
  return values;
}

train::LogProbTable reference_table(const data::ReferenceCache& cache, const data::Dataset& dataset) {
  return {dataset, reference_values(cache, dataset)};
}

}  // namespace ddro::run
