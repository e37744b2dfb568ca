#include "run/sample_log.h"

#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "ddro/base/progress.h"
#include "ddro/run/completion_json.h"

namespace ddro::run {

SampleLog::SampleLog(SamplePrompts prompts, const generate::GenerateOptions& options,
                     const std::filesystem::path& path, std::int64_t last_evaluation)
    : prompts_(std::move(prompts.prompts)),
      tokenizer_(prompts.tokenizer),
      end_ids_(std::move(prompts.end_ids)),
      options_(options) {
  for (const data::Prompt& prompt : prompts_) ids_.push_back(prompt.ids);
  std::error_code ignored;
  if (has_prompts() || std::filesystem::exists(path, ignored)) lines_.emplace(path, last_evaluation);
}

std::optional<SampleLog::Drawn> SampleLog::draw(const models::CausalLm& policy, std::int64_t step,
                                                const std::function<bool()>& stop) {
  const auto num_samples = static_cast<size_t>(options_.num_samples);
  std::vector<std::string> lines(prompts_.size() * num_samples);
  Progress progress("samples", static_cast<std::int64_t>(lines.size()));
  Drawn drawn;
  const auto keep = [&](const generate::Completion& completion) {
    drawn.unfinished += !completion.finished;
    drawn.tokens += static_cast<std::int64_t>(completion.ids.size());
    Json line = {{"step", step}};
    line.update(completion_json(prompts_[completion.prompt], completion));
    lines[completion.prompt * num_samples + static_cast<size_t>(completion.sample)] = line.dump() + "\n";
    progress.update(++drawn.completions, 0);
  };
  if (!generate::generate(policy, *tokenizer_, end_ids_, ids_, options_, keep, stop)) return std::nullopt;
  std::string text;
  for (const std::string& line : lines) text += line;
  lines_->append(text);
  lines_->sync();
  failpoint("samples.written");
  return drawn;
}

}  // namespace ddro::run
