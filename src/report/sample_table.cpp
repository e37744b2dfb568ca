#include "report/sample_table.h"

#include <algorithm>
#include <set>
#include <string>

namespace ddro::report {
namespace {

constexpr size_t kMaxPrompts = 40;

struct Answers {
  const Sample* first = nullptr;
  const Sample* last = nullptr;
};

Answers answers_of(const RunHistory& run, const std::string& prompt) {
  Answers answers;
  for (const Sample& sample : run.samples) {
    if (sample.prompt != prompt) continue;
    if (answers.first == nullptr || sample.step < answers.first->step) answers.first = &sample;
    if (answers.last == nullptr || sample.step > answers.last->step) answers.last = &sample;
  }
  return answers;
}

Json cell(const Sample& sample, const Json& run) {
  return {{"label", "step " + std::to_string(sample.step)}, {"run", run}, {"text", sample.completion}};
}

Json cells_of(const std::vector<RunHistory>& runs, const std::string& prompt) {
  std::vector<Answers> all;
  for (const RunHistory& run : runs) all.push_back(answers_of(run, prompt));
  const bool same_start = runs.size() > 1 && std::all_of(all.begin(), all.end(), [&](const Answers& answers) {
                            return answers.first != nullptr && all[0].first->step == answers.first->step &&
                                   all[0].first->completion == answers.first->completion;
                          });
  Json cells = Json::array();
  if (same_start) cells.push_back(cell(*all[0].first, nullptr));
  for (size_t run = 0; run < runs.size(); ++run) {
    const Answers& answers = all[run];
    if (answers.first == nullptr) continue;
    if (!same_start) cells.push_back(cell(*answers.first, run));
    if (answers.last->step != answers.first->step) cells.push_back(cell(*answers.last, run));
  }
  return cells;
}

}  // namespace

Json make_samples(const std::vector<RunHistory>& runs) {
  std::vector<std::string> prompts;
  std::set<std::string> seen;
  for (const RunHistory& run : runs) {
    for (const Sample& sample : run.samples) {
      if (seen.insert(sample.prompt).second) prompts.push_back(sample.prompt);
    }
  }
  Json shown = Json::array();
  for (size_t i = 0; i < std::min(prompts.size(), kMaxPrompts); ++i)
    shown.push_back({{"prompt", prompts[i]}, {"cells", cells_of(runs, prompts[i])}});
  return {{"total", prompts.size()}, {"prompts", std::move(shown)}};
}

}  // namespace ddro::report
