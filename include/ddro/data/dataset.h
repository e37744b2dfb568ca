// Files of preference rows -> encoded examples, with every dropped row accounted for.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ddro/data/data_options.h"
#include "ddro/data/places.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/text_source.h"
#include "ddro/data/token_ids.h"
#include "ddro/text/model_text.h"

namespace ddro {
class MappedFile;
}

namespace ddro::data {

enum class CompletionClass : std::uint8_t { kChosen, kRejected };  // preferred, unpreferred

// One completion with its prompt, as token ids.
struct EncodedSequence {
  TokenIds ids;                       // prompt and completion
  std::int64_t completion_start = 0;  // index into ids; at least 1
  CompletionClass completion_class = CompletionClass::kChosen;

  std::int64_t num_completion_tokens() const {
    return static_cast<std::int64_t>(ids.size()) - completion_start;
  }
};

// One row of a file: a pair (sequences[0] chosen, sequences[1] rejected) or a single completion.
struct EncodedExample {
  std::int64_t row = 0;  // 0-based over all lines of the set's files, blank lines not counted
  double weight = 1.0;
  std::vector<EncodedSequence> sequences;

  bool is_pair() const { return sequences.size() == 2; }
};

struct DroppedRow {
  std::int64_t row = 0;
  std::string where;  // "file:line", or "file: row N" of a list
  std::string reason;
};

// Counts are over the rows kept, num_rows excepted. Rows are compared as encoded: token ids, boundary and
// class.
struct DatasetReport {
  std::int64_t num_rows = 0;             // read, dropped ones included
  std::int64_t num_boundary_merges = 0;  // sequences with a token that spans prompt and completion
  std::int64_t num_control_text = 0;     // rows whose text spells a control token
  std::int64_t num_truncated = 0;
  std::int64_t num_shorter_prompts = 0;  // completions before which the generation prompt is not whole
  std::int64_t num_other_turns = 0;      // completions with messages that are not the assistant's
  std::int64_t num_duplicates = 0;       // rows equal to an earlier one
  std::int64_t num_both_labels = 0;      // completions of one prompt that different rows label differently
  std::int64_t num_chosen_equals_rejected = 0;
  std::vector<std::string> ignored_fields;  // each named once
};

// Consecutive examples of a set, of which an epoch draws a share.
struct MixturePart {
  std::int64_t end = 0;  // index of the first example behind them
  double weight = 1;     // 0.3: three in ten of each class; 2: each twice
};

struct Dataset {
  std::vector<EncodedExample> examples;  // in file order
  Places wheres;                         // of the examples
  std::vector<DroppedRow> dropped;
  DatasetReport report;
  RowKind kind = RowKind::kPaired;         // one kind a set; mixing kinds is refused
  std::string content_hash;                // of the files' bytes in order
  std::vector<std::int64_t> file_ends;     // of each file, the index of the first example behind it
  std::vector<MixturePart> mixture;        // set_mixture; empty: an epoch draws each example once
  std::shared_ptr<const MappedFile> file;  // that has the ids; null: they are in memory

  // `mixture`, or the one part that stands for an empty one.
  std::vector<MixturePart> parts() const;
  // Weighted counts of what an epoch draws: a pair counts once in each class.
  double class_weight(CompletionClass completion_class) const;
  std::int64_t num_tokens() const;  // of all sequences
  // Takes the ids that were read so far out of memory, if a file has them: after each use of some examples.
  void release_pages() const;
  // The same once in some thousand examples, for whoever goes through all of them.
  void release_pages_before(size_t example) const;
};

using IdSink = std::function<void(std::span<const text::TokenId>)>;

// Expands globs (sorted within one pattern), reads, parses, encodes in threads and checks; the result and the
// error, if any, do not depend on the number of threads.
//
// Files are JSON lines (a byte order mark, CRLF, blank lines and a missing last newline are accepted) or one
// JSON list, plain or compressed (.gz, .zst), Parquet or Arrow. Error(kInput):
// - a pattern that matches nothing, a file that cannot be read, is damaged, or is of another format (by its
// name's ending);
// - the first row that cannot be used, with file:line, unless on_bad_row says to drop such rows; one above 64
// MB is one;
// - rows above max_length under on_overlength: error, all in one line, once the whole set is read;
// - paired and unpaired rows in one set; a set without a usable row.
//
// With `sink`, ids are given to it, sequence by sequence, and the set has only their numbers.
Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                     const TextSource& text, const IdSink& sink = nullptr);

// The same; `now` is what a template's date shows.
Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                     const text::ModelText& text, std::time_t now, const IdSink& sink = nullptr);

// Writes `dropped` as JSON lines {"set", "row", "where", "reason"} (atomic).
void write_dropped_rows(const std::string& path,
                        const std::vector<std::pair<std::string, std::vector<DroppedRow>>>& sets);

}  // namespace ddro::data
