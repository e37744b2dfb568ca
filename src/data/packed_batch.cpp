#include "ddro/data/packed_batch.h"

#include <algorithm>
#include <numeric>

#include "ddro/base/error.h"

namespace ddro::data {
namespace {

// What stays together in a micro-batch: a pair, or one row.
struct Unit {
  std::int64_t step_row = 0;  // of its first row
  std::int64_t num_rows = 1;
  bool shares_prompt = false;
  std::int64_t tokens = 0;
};

std::int64_t length(const EncodedSequence& sequence) {
  return static_cast<std::int64_t>(sequence.ids.size());
}

bool same_prompt(const EncodedSequence& a, const EncodedSequence& b) {
  return a.completion_start == b.completion_start &&
         std::equal(a.ids.begin(), a.ids.begin() + a.completion_start, b.ids.begin());
}

// The units of some examples, and how each is packed.
class Packer {
 public:
  Packer(const Dataset& dataset, std::span<const std::int64_t> examples, const PackOptions& options)
      : dataset_(&dataset), options_(options) {
    DDRO_CHECK(options_.micro_batch_tokens >= 1, "micro-batches of no tokens");
    for (const std::int64_t example : examples) add_example(example);
  }

  const std::vector<Unit>& units() const { return units_; }
  const StepCounts& counts() const { return counts_; }
  std::int64_t unshared_pairs() const { return unshared_pairs_; }
  std::span<const BatchRow> rows(const Unit& unit) const {
    return {&row_at(unit.step_row), static_cast<size_t>(unit.num_rows)};
  }

  bool fits(std::int64_t tokens_before, const Unit& unit) const {
    return tokens_before + unit.tokens <= options_.micro_batch_tokens;
  }

  void append(PackedBatch& batch, const Unit& unit) const {
    if (batch.row_offsets.empty()) batch.row_offsets.push_back(0);
    if (unit.shares_prompt) {
      const EncodedSequence& chosen = sequence_of(row_at(unit.step_row));
      const Segment prompt = append_tokens(batch, chosen, 0, chosen.completion_start, {});
      for (const BatchRow& row : rows(unit)) append_row(batch, row, &prompt);
    } else {
      for (const BatchRow& row : rows(unit)) append_row(batch, row, nullptr);
    }
  }

 private:
  const EncodedSequence& sequence_of(const BatchRow& row) const {
    return dataset_->examples[static_cast<size_t>(row.example)].sequences[static_cast<size_t>(row.sequence)];
  }
  const BatchRow& row_at(std::int64_t step_row) const { return rows_[static_cast<size_t>(step_row)]; }

  void add_example(std::int64_t index) {
    const EncodedExample& example = dataset_->examples.at(static_cast<size_t>(index));
    const auto first = static_cast<std::int64_t>(rows_.size());
    for (size_t i = 0; i < example.sequences.size(); ++i) {
      const EncodedSequence& sequence = example.sequences[i];
      DDRO_CHECK(sequence.completion_start >= 1 && sequence.completion_start < length(sequence),
                 "row " + std::to_string(example.row) + " has no prompt or no completion");
      const auto step_row = first + static_cast<std::int64_t>(i);
      const std::int64_t partner = example.is_pair() ? first + 1 - static_cast<std::int64_t>(i) : -1;
      rows_.push_back(
          {index, static_cast<std::int32_t>(i), sequence.row_class, example.weight, step_row, partner});
      count_row(sequence, example.weight);
    }
    if (example.is_pair()) {
      counts_.pairs += example.weight;
      add_pair(first);
    } else {
      units_.push_back({first, 1, false, length(example.sequences.front())});
    }
  }

  void count_row(const EncodedSequence& sequence, double weight) {
    if (sequence.row_class == RowClass::kChosen) {
      counts_.chosen += weight;
      counts_.chosen_tokens += weight * static_cast<double>(sequence.num_completion_tokens());
    } else {
      counts_.rejected += weight;
    }
    ++counts_.rows;
    counts_.tokens += length(sequence);
  }

  void add_pair(std::int64_t first) {
    const EncodedSequence& chosen = sequence_of(row_at(first));
    const EncodedSequence& rejected = sequence_of(row_at(first + 1));
    const bool same = same_prompt(chosen, rejected);
    if (!same) ++unshared_pairs_;
    const bool shares = same && options_.share_prompts;
    const std::int64_t tokens = length(chosen) + length(rejected) - (shares ? chosen.completion_start : 0);
    if (tokens <= options_.micro_batch_tokens) {
      units_.push_back({first, 2, shares, tokens});
    } else {
      units_.push_back({first, 1, false, length(chosen)});
      units_.push_back({first + 1, 1, false, length(rejected)});
    }
  }

  // Tokens [from, to) of `sequence` as a segment that also attends to `prefix`.
  static Segment append_tokens(PackedBatch& batch, const EncodedSequence& sequence, std::int64_t from,
                               std::int64_t to, const Segment& prefix) {
    const Segment segment{static_cast<std::int64_t>(batch.ids_T.size()), to - from, prefix.begin,
                          prefix.length};
    batch.ids_T.insert(batch.ids_T.end(), sequence.ids.begin() + from, sequence.ids.begin() + to);
    batch.positions_T.resize(batch.ids_T.size());
    std::iota(batch.positions_T.begin() + segment.begin, batch.positions_T.end(), from);
    batch.segments.push_back(segment);
    return segment;
  }

  void append_row(PackedBatch& batch, const BatchRow& row, const Segment* prompt) const {
    const EncodedSequence& sequence = sequence_of(row);
    const std::int64_t start = sequence.completion_start;
    const Segment own =
        append_tokens(batch, sequence, prompt ? start : 0, length(sequence), prompt ? *prompt : Segment{});
    const std::int64_t last_prompt_token =
        prompt ? prompt->begin + prompt->length - 1 : own.begin + start - 1;
    const std::int64_t first_target = prompt ? own.begin : own.begin + start;
    for (std::int64_t i = 0; i < sequence.num_completion_tokens(); ++i) {
      batch.logit_positions_C.push_back(i == 0 ? last_prompt_token : first_target + i - 1);
      batch.targets_C.push_back(sequence.ids[static_cast<size_t>(start + i)]);
    }
    batch.row_offsets.push_back(static_cast<std::int64_t>(batch.targets_C.size()));
    batch.rows.push_back(row);
  }

  const Dataset* dataset_;
  PackOptions options_;
  StepCounts counts_;
  std::int64_t unshared_pairs_ = 0;
  std::vector<BatchRow> rows_;  // by step_row
  std::vector<Unit> units_;
};

std::int64_t packed_size(const PackedBatch& batch) { return static_cast<std::int64_t>(batch.ids_T.size()); }

}  // namespace

StepPlan plan_step(const Dataset& dataset, std::span<const std::int64_t> examples,
                   const PackOptions& options) {
  const Packer packer(dataset, examples, options);
  StepPlan plan;
  plan.examples.assign(examples.begin(), examples.end());
  plan.counts = packer.counts();
  plan.unshared_pairs = packer.unshared_pairs();
  auto& batches = plan.micro_batches;
  for (const Unit& unit : packer.units()) {
    auto batch = std::find_if(batches.begin(), batches.end(), [&](const PackedBatch& candidate) {
      return packer.fits(packed_size(candidate), unit);
    });
    if (batch == batches.end()) batch = batches.emplace(batches.end());
    packer.append(*batch, unit);
    plan.packed_tokens += unit.tokens;
  }
  return plan;
}

struct SetPlan::Parts {
  Packer packer;
  std::vector<Unit> units;     // micro-batch by micro-batch
  std::vector<size_t> starts;  // of each micro-batch in `units`, and the end

  std::span<const Unit> units_of(std::int64_t index) const {
    const size_t begin = starts.at(static_cast<size_t>(index));
    return std::span(units).subspan(begin, starts.at(static_cast<size_t>(index) + 1) - begin);
  }
};

SetPlan::SetPlan(const Dataset& dataset, const PackOptions& options) {
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  parts_ = std::make_unique<Parts>(Parts{Packer(dataset, all, options), {}, {0}});
  Parts& parts = *parts_;
  parts.units = parts.packer.units();
  std::stable_sort(parts.units.begin(), parts.units.end(),
                   [](const Unit& a, const Unit& b) { return a.tokens > b.tokens; });
  std::int64_t tokens = 0;
  for (size_t i = 0; i < parts.units.size(); ++i) {
    if (i > 0 && !parts.packer.fits(tokens, parts.units[i])) {
      parts.starts.push_back(i);
      tokens = 0;
    }
    tokens += parts.units[i].tokens;
  }
  if (!parts.units.empty()) parts.starts.push_back(parts.units.size());
}

SetPlan::~SetPlan() = default;
SetPlan::SetPlan(SetPlan&&) noexcept = default;
SetPlan& SetPlan::operator=(SetPlan&&) noexcept = default;

std::int64_t SetPlan::num_micro_batches() const {
  return static_cast<std::int64_t>(parts_->starts.size()) - 1;
}

PackedBatch SetPlan::micro_batch(std::int64_t index) const {
  PackedBatch batch;
  for (const Unit& unit : parts_->units_of(index)) parts_->packer.append(batch, unit);
  return batch;
}

std::vector<BatchRow> SetPlan::rows(std::int64_t index) const {
  std::vector<BatchRow> rows;
  for (const Unit& unit : parts_->units_of(index)) {
    const auto more = parts_->packer.rows(unit);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

const StepCounts& SetPlan::counts() const { return parts_->packer.counts(); }

}  // namespace ddro::data
