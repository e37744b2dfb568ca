#include "ddro/data/dataset.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <utility>

#include "data/data_files.h"
#include "data/row_census.h"
#include "data/row_reader.h"
#include "ddro/base/files.h"
#include "ddro/base/interruption.h"
#include "ddro/base/log.h"
#include "ddro/data/encode.h"

namespace ddro::data {
namespace {

constexpr size_t kBlockRows = 1024;
constexpr size_t kMaxThreads = 16;

// Calls task(i) for each i < count on several threads, this one among them, which may be interrupted. `task`
// must not throw.
void for_each_in_threads(size_t count, const std::function<void(size_t)>& task) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        leave_if_interrupted();
      } catch (const Interrupted&) {
        next = count;  // for the others
        throw;
      }
      task(i);
    }
  };
  std::vector<std::jthread> helpers;
  const size_t threads = std::min({count, size_t{std::thread::hardware_concurrency()}, kMaxThreads});
  try {
    while (helpers.size() + 1 < threads) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // The threads there are do the work.
  }
  work();
}

// What became of one row of a file.
struct Outcome {
  std::optional<RowKind> kind;  // none when it is no row
  std::string layout;           // as the log names it
  std::vector<std::string> ignored_fields;
  std::vector<std::string> found_columns;
  EncodeResult encoded;
  std::exception_ptr failure;  // ends the load whatever the options say
};

std::string layout_label(const PreferenceRow& row) {
  std::string name = enum_name(row.layout);
  if (row.layout != Layout::kPairs && row.layout != Layout::kLabels)
    name += row.kind == RowKind::kPaired ? " pairs" : " labels";
  if (!row.has_label) name += " without a label (preferred ones to sft)";
  switch (row.prompt_split) {
    case PromptSplit::kAsWritten:
      break;
    case PromptSplit::kCommonText:
      name += " whose prompt is the text that both answers begin with";
      break;
    case PromptSplit::kRepetitionCut:
      name += " with the prompt repeated in the answers, where it is cut off";
      break;
    case PromptSplit::kRepetitionKept:
      name += " whose answers begin with their short prompt, which is left there";
      break;
  }
  return name;
}

Outcome read_row(const RawRow& raw, const TextSource& text, const DataOptions& options) {
  Outcome outcome;
  try {
    PreferenceRow row;
    try {
      row = parse_row(fields_of(raw), raw.where, row_format(options));
    } catch (const Error& error) {
      const std::string prefix = "[data] " + raw.where + ": ";
      outcome.encoded.unusable = std::string(error.what()).substr(prefix.size());
      if (raw.unterminated)
        *outcome.encoded.unusable += "; the file's last line has no newline and may be cut off";
      return outcome;
    }
    outcome.kind = row.kind;
    outcome.layout = layout_label(row);
    outcome.ignored_fields = row.ignored_fields;
    outcome.found_columns = row.found_columns;
    outcome.encoded = encode_row(row, text, options);
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  return outcome;
}

class Loader {
 public:
  Loader(const DataOptions& options, const TextSource& text, const IdSink& sink)
      : options_(options), text_(text), sink_(sink) {}

  Dataset load(const std::vector<std::string>& patterns) {
    const std::vector<std::string> paths = expand_patterns(patterns);
    Hasher hasher;
    for (const std::string& path : paths) {
      const std::unique_ptr<RowReader> reader = open_rows(path, options_.columns, hasher);
      while (read_block(*reader)) {
        failpoint("rows.block");
        std::vector<Outcome> outcomes = read_rows();
        for (size_t i = 0; i < block_.size(); ++i) take(block_[i].where, std::move(outcomes[i]));
      }
      dataset_.file_ends.push_back(static_cast<std::int64_t>(dataset_.examples.size()));
      report_layouts(path);
    }
    warn_of_missing_columns();
    refuse_overlength();
    refuse_empty(paths);
    census_.count(dataset_.report);
    dataset_.content_hash = hasher.hex();
    return std::move(dataset_);
  }

 private:
  bool read_block(RowReader& reader) {
    block_.clear();
    size_t bytes = 0;
    RawRow row;
    while (block_.size() < kBlockRows && bytes < kMaxRowBytes && reader.next(row)) {
      bytes += row.num_bytes();
      block_.push_back(std::move(row));
      if (block_.back().unusable) break;  // if it ends the load, what is left of it need not be read
    }
    return !block_.empty();
  }

  // What became of the rows of the block; those behind one that ends the load are not read.
  std::vector<Outcome> read_rows() const {
    std::vector<Outcome> outcomes(block_.size());
    std::atomic<size_t> last = block_.size();
    for_each_in_threads(block_.size(), [&](size_t i) {
      if (i > last) return;
      outcomes[i] = read_row(block_[i], text_, options_);
      size_t seen = last;
      while (ends_load(outcomes[i]) && i < seen && !last.compare_exchange_weak(seen, i)) {
      }
    });
    return outcomes;
  }

  bool ends_load(const Outcome& outcome) const {
    const EncodeResult& encoded = outcome.encoded;
    return outcome.failure ||
           (encoded.unusable && !encoded.overlength && options_.on_bad_row == OnBadRow::kError);
  }

  void take(const std::string& where, Outcome outcome) {
    if (outcome.failure) std::rethrow_exception(outcome.failure);
    EncodeResult& encoded = outcome.encoded;
    encoded.example.row = dataset_.report.num_rows++;
    if (outcome.kind) require_kind(*outcome.kind, where);
    if (outcome.kind) ++layouts_[outcome.layout];
    found_columns_.insert(outcome.found_columns.begin(), outcome.found_columns.end());
    for (const std::string& field : outcome.ignored_fields) {
      if (ignored_fields_.insert(field).second) dataset_.report.ignored_fields.push_back(field);
    }
    if (!encoded.unusable || encoded.overlength) lengths_.push_back(encoded.length);
    if (encoded.unusable) {
      drop(where, encoded);
    } else {
      keep(where, std::move(encoded));
    }
  }

  void report_layouts(const std::string& path) {
    std::string text;
    for (const auto& [layout, count] : layouts_)
      text += (text.empty() ? "" : "; ") + layout + ", " + std::to_string(count) + " rows";
    if (!text.empty()) log_info(shown_path(path) + ": layout " + text);
    layouts_.clear();
  }

  void warn_of_missing_columns() const {
    for (const auto& [ours, theirs] : options_.columns) {
      if (found_columns_.contains(ours)) continue;
      log_warning("[data.columns." + ours + "] no row of the set has a field \"" + printable(theirs) + "\"");
    }
  }

  void require_kind(RowKind kind, const std::string& where) {
    if (kind_where_.empty()) {
      dataset_.kind = kind;
      kind_where_ = where;
    }
    if (dataset_.kind == kind) return;
    const bool paired = kind == RowKind::kPaired;
    throw input_error("[data] " + where + ": " + (paired ? "a paired" : "an unpaired") + " row among " +
                      (paired ? "unpaired" : "paired") + " ones (" + kind_where_ +
                      "); expected one kind in a set");
  }

  void drop(const std::string& where, const EncodeResult& encoded) {
    if (encoded.overlength && options_.on_overlength == OnOverlength::kError) {
      if (num_overlength_++ == 0) first_overlength_ = "[data] " + where + ": " + *encoded.unusable;
      return;
    }
    if (!encoded.overlength && options_.on_bad_row == OnBadRow::kError) {
      throw input_error("[data] " + where + ": " + *encoded.unusable +
                        (encoded.remedy.empty() ? "" : "; " + encoded.remedy));
    }
    dataset_.dropped.push_back({encoded.example.row, where, *encoded.unusable});
  }

  void keep(const std::string& where, EncodeResult encoded) {
    DatasetReport& report = dataset_.report;
    report.num_boundary_merges += encoded.boundary_merges;
    report.num_control_text += encoded.control_text;
    report.num_truncated += encoded.truncated;
    report.num_shorter_prompts += encoded.shorter_prompts;
    report.num_other_turns += encoded.other_turns;
    census_.add(encoded.example);
    if (sink_) give_to_sink(encoded.example);
    dataset_.examples.push_back(std::move(encoded.example));
    dataset_.wheres.push_back(where);
  }

  void give_to_sink(EncodedExample& example) const {
    for (EncodedSequence& sequence : example.sequences) {
      sink_(sequence.ids);
      sequence.ids = TokenIds::elsewhere(sequence.ids.size());
    }
  }

  void refuse_overlength() {
    if (num_overlength_ == 0) return;
    std::sort(lengths_.begin(), lengths_.end());
    const std::int64_t longest = lengths_.back();
    const size_t rank = (lengths_.size() * 99 + 99) / 100;  // rounded up
    throw input_error(first_overlength_ + "; " + std::to_string(num_overlength_) + " of " +
                      std::to_string(lengths_.size()) + " rows do not fit, " +
                      std::to_string(lengths_[rank - 1]) + " would fit 99 %, " + std::to_string(longest) +
                      " all; raise data.max_length, or set data.on_overlength to drop or truncate");
  }

  void refuse_empty(const std::vector<std::string>& paths) const {
    if (!dataset_.examples.empty()) return;
    const std::string name =
        printable(paths.front(), 400) + (paths.size() > 1 ? " and the set's other files" : "");
    if (dataset_.dropped.empty()) throw input_error("[data] " + name + ": no rows");
    const DroppedRow& first = dataset_.dropped.front();
    throw input_error("[data] " + name + ": no usable row among " + std::to_string(dataset_.report.num_rows) +
                      "; the first, " + first.where + ": " + first.reason);
  }

  const DataOptions& options_;
  const TextSource& text_;
  const IdSink& sink_;
  Dataset dataset_;
  RowCensus census_;
  std::vector<RawRow> block_;
  std::unordered_set<std::string> ignored_fields_;
  std::unordered_set<std::string> found_columns_;
  std::map<std::string, std::int64_t> layouts_;  // of the file that is being read, with their rows
  std::string kind_where_;                       // the row that decided the set's kind
  std::vector<std::int64_t> lengths_;
  std::int64_t num_overlength_ = 0;
  std::string first_overlength_;
};

}  // namespace

std::vector<MixturePart> Dataset::parts() const {
  if (!mixture.empty()) return mixture;
  return {{static_cast<std::int64_t>(examples.size()), 1}};
}

double Dataset::class_weight(CompletionClass completion_class) const {
  double sum = 0;
  size_t i = 0;
  for (const MixturePart& part : parts()) {
    for (; i < static_cast<size_t>(part.end); ++i) {
      for (const EncodedSequence& sequence : examples[i].sequences) {
        if (sequence.completion_class == completion_class) sum += part.weight * examples[i].weight;
      }
    }
  }
  return sum;
}

void Dataset::release_pages() const {
  if (file) file->release_pages();
}

void Dataset::release_pages_before(size_t example) const {
  constexpr size_t kExamplesInMemory = 8192;
  if (example % kExamplesInMemory == 0) release_pages();
}

std::int64_t Dataset::num_tokens() const {
  std::int64_t sum = 0;
  for (const EncodedExample& example : examples) {
    for (const EncodedSequence& sequence : example.sequences)
      sum += static_cast<std::int64_t>(sequence.ids.size());
  }
  return sum;
}

Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                     const TextSource& text, const IdSink& sink) {
  return Loader(options, text, sink).load(files);
}

void write_dropped_rows(const std::string& path,
                        const std::vector<std::pair<std::string, std::vector<DroppedRow>>>& sets) {
  std::string lines;
  for (const auto& [set, rows] : sets) {
    for (const DroppedRow& row : rows) {
      const Json line = {{"set", set}, {"row", row.row}, {"where", row.where}, {"reason", row.reason}};
      lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
  }
  write_file_atomic(path, lines);
}

}  // namespace ddro::data
