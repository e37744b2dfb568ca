#include "ddro/data/packed_batch.h"

#include <algorithm>

#include "data/prefix_tree.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

// What stays together in a micro-batch: a pair, or one row.
struct Unit {
  std::int64_t step_row = 0;  // of its first row
  std::int64_t num_rows = 1;
  std::int64_t tokens = 0;
};

std::int64_t length(const EncodedSequence& sequence) {
  return static_cast<std::int64_t>(sequence.ids.size());
}

bool same_prompt(const EncodedSequence& a, const EncodedSequence& b) {
  return a.completion_start == b.completion_start &&
         std::equal(a.ids.begin(), a.ids.begin() + a.completion_start, b.ids.begin());
}

class StepPlanner {
 public:
  StepPlanner(const Dataset& dataset, const PackOptions& options) : dataset_(dataset), options_(options) {}

  StepPlan plan(std::span<const std::int64_t> examples) {
    DDRO_CHECK(options_.micro_batch_tokens >= 1, "micro-batches of no tokens");
    plan_.examples.assign(examples.begin(), examples.end());
    for (const std::int64_t example : examples) add_example(example);
    for (const Unit& unit : units_) place(unit);
    for (PackedBatch& batch : plan_.micro_batches) {
      pack(batch);
      plan_.packed_tokens += static_cast<std::int64_t>(batch.ids_T.size());
    }
    return std::move(plan_);
  }

 private:
  const EncodedSequence& sequence_of(const BatchRow& row) const {
    return dataset_.examples[static_cast<size_t>(row.example)].sequences[static_cast<size_t>(row.sequence)];
  }
  const BatchRow& row_at(std::int64_t step_row) const { return rows_[static_cast<size_t>(step_row)]; }

  void add_example(std::int64_t index) {
    const EncodedExample& example = dataset_.examples.at(static_cast<size_t>(index));
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
      plan_.counts.pairs += example.weight;
      add_pair(first);
    } else {
      units_.push_back({first, 1, length(example.sequences.front())});
    }
  }

  void count_row(const EncodedSequence& sequence, double weight) {
    StepCounts& counts = plan_.counts;
    if (sequence.row_class == RowClass::kChosen) {
      counts.chosen += weight;
      counts.chosen_tokens += weight * static_cast<double>(sequence.num_completion_tokens());
    } else {
      counts.rejected += weight;
    }
    ++counts.rows;
    counts.tokens += length(sequence);
  }

  void add_pair(std::int64_t first) {
    const EncodedSequence& chosen = sequence_of(row_at(first));
    const EncodedSequence& rejected = sequence_of(row_at(first + 1));
    const bool same = same_prompt(chosen, rejected);
    if (!same) ++plan_.unshared_pairs;
    const bool shares = same && chosen.completion_start >= options_.min_shared_tokens;
    const std::int64_t tokens = length(chosen) + length(rejected) - (shares ? chosen.completion_start : 0);
    if (tokens <= options_.micro_batch_tokens) {
      units_.push_back({first, 2, tokens});
    } else {
      units_.push_back({first, 1, length(chosen)});
      units_.push_back({first + 1, 1, length(rejected)});
    }
  }

  void place(const Unit& unit) {
    auto slot = std::find_if(batch_tokens_.begin(), batch_tokens_.end(), [&](std::int64_t tokens) {
      return tokens + unit.tokens <= options_.micro_batch_tokens;
    });
    if (slot == batch_tokens_.end()) {
      slot = batch_tokens_.insert(slot, 0);
      plan_.micro_batches.emplace_back();
    }
    *slot += unit.tokens;
    auto& rows = plan_.micro_batches[static_cast<size_t>(slot - batch_tokens_.begin())].rows;
    for (std::int64_t i = 0; i < unit.num_rows; ++i) rows.push_back(row_at(unit.step_row + i));
  }

  void pack(PackedBatch& batch) const {
    std::vector<const std::vector<text::TokenId>*> sequences;
    for (const BatchRow& row : batch.rows) sequences.push_back(&sequence_of(row).ids);
    PrefixTree tree(std::move(sequences), options_.min_shared_tokens);
    batch.row_offsets.push_back(0);
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const EncodedSequence& sequence = sequence_of(batch.rows[i]);
      const std::vector<std::int64_t> packed = tree.packed_indices(i);
      for (std::int64_t token = sequence.completion_start; token < length(sequence); ++token) {
        batch.logit_positions_C.push_back(packed[static_cast<size_t>(token - 1)]);
        batch.targets_C.push_back(sequence.ids[static_cast<size_t>(token)]);
      }
      batch.row_offsets.push_back(static_cast<std::int64_t>(batch.targets_C.size()));
    }
    batch.ids_T = std::move(tree.ids_T);
    batch.positions_T = std::move(tree.positions_T);
    batch.segments = std::move(tree.segments);
  }

  const Dataset& dataset_;
  const PackOptions& options_;
  StepPlan plan_;
  std::vector<BatchRow> rows_;  // by step_row
  std::vector<Unit> units_;
  std::vector<std::int64_t> batch_tokens_;  // of each micro-batch's units
};

}  // namespace

StepPlan plan_step(const Dataset& dataset, std::span<const std::int64_t> examples,
                   const PackOptions& options) {
  return StepPlanner(dataset, options).plan(examples);
}

}  // namespace ddro::data
