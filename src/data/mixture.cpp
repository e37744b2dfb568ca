#include "ddro/data/mixture.h"

#include <algorithm>
#include <cmath>

#include "data/data_files.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

// The two classes are drawn from apart; pairs are of one.
std::int64_t draws_between(const Dataset& dataset, std::int64_t begin, const MixturePart& part) {
  std::int64_t rejected = 0;
  for (std::int64_t i = begin; i < part.end; ++i)
    rejected += dataset.examples[static_cast<size_t>(i)].sequences.front().completion_class ==
                CompletionClass::kRejected;
  return num_draws(part.weight, part.end - begin - rejected) + num_draws(part.weight, rejected);
}

}  // namespace

std::int64_t num_draws(double weight, std::int64_t num_examples) {
  return std::llround(weight * static_cast<double>(num_examples));
}

void set_mixture(const std::vector<TrainFiles>& train_files, Dataset& dataset) {
  const bool is_plain = std::all_of(train_files.begin(), train_files.end(),
                                    [](const TrainFiles& files) { return files.weight == 1; });
  if (is_plain) return;
  size_t file = 0;
  std::int64_t begin = 0;
  for (const auto& [pattern, weight] : train_files) {
    file += expand_patterns({pattern}).size();
    if (file > dataset.file_ends.size())
      throw input_error("[data.train_files] " + printable(pattern) + ": files came while the set was read");
    const MixturePart part{dataset.file_ends[file - 1], weight};
    if (part.end > begin && draws_between(dataset, begin, part) == 0) {
      throw input_error("[data.train_files] the weight " + printable(weight) + " of " + printable(pattern) +
                        " draws none of its " + std::to_string(part.end - begin) + " usable rows");
    }
    dataset.mixture.push_back(part);
    begin = part.end;
  }
}

std::vector<std::string> patterns_of(const std::vector<TrainFiles>& train_files) {
  std::vector<std::string> patterns;
  for (const TrainFiles& files : train_files) patterns.push_back(files.pattern);
  return patterns;
}

}  // namespace ddro::data
