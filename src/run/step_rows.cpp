#include "run/step_rows.h"

#include <algorithm>

#include "ddro/base/files.h"
#include "ddro/base/json.h"

namespace ddro::run {

std::string row_names(const data::Dataset& dataset, const data::StepPlan& plan) {
  constexpr size_t kShown = 32;
  std::string names;
  for (size_t i = 0; i < std::min(plan.examples.size(), kShown); ++i) {
    names += (i > 0 ? ", " : "") + dataset.wheres[static_cast<size_t>(plan.examples[i])];
  }
  return plan.examples.size() > kShown ? names + ", ..." : names;
}

void dump_batch(const std::filesystem::path& path, const data::Dataset& dataset, const data::StepPlan& plan) {
  Json rows = Json::array();
  for (const std::int64_t index : plan.examples) {
    const data::EncodedExample& example = dataset.examples[static_cast<size_t>(index)];
    Json sequences = Json::array();
    for (const data::EncodedSequence& sequence : example.sequences) {
      sequences.push_back({{"ids", std::vector(sequence.ids.begin(), sequence.ids.end())},
                           {"completion_start", sequence.completion_start},
                           {"chosen", sequence.completion_class == data::CompletionClass::kChosen}});
    }
    rows.push_back({{"where", dataset.wheres[static_cast<size_t>(index)]},
                    {"weight", example.weight},
                    {"sequences", sequences}});
  }
  write_file_atomic(path, rows.dump(1) + "\n");
}

}  // namespace ddro::run
