#include "run/sample_log.h"

#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "ddro/base/progress.h"
#include "ddro/run/completion_json.h"
#include "ddro/train/weight_parts.h"

namespace ddro::run {

namespace {

// Lines of each rank, by rank, which has every so many-th prompt, in the order of all prompts.
std::string merge(const std::vector<std::string>& by_rank, size_t num_prompts, size_t num_samples) {
  std::vector<size_t> begins(by_rank.size(), 0);
  std::string all;
  for (size_t prompt = 0; prompt < num_prompts; ++prompt) {
    const size_t rank = prompt % by_rank.size();
    for (size_t sample = 0; sample < num_samples; ++sample) {
      const size_t end = by_rank[rank].find('\n', begins[rank]) + 1;
      all += by_rank[rank].substr(begins[rank], end - begins[rank]);
      begins[rank] = end;
    }
  }
  return all;
}

}  // namespace

SampleLog::SampleLog(SamplePrompts prompts, const generate::GenerateOptions& options,
                     const std::filesystem::path& path, std::int64_t last_evaluation,
                     const dist::Communicator& ranks)
    : prompts_(std::move(prompts.prompts)),
      tokenizer_(prompts.tokenizer),
      end_ids_(std::move(prompts.end_ids)),
      options_(options),
      ranks_(ranks) {
  for (const data::Prompt& prompt : prompts_) ids_.push_back(prompt.ids);
  std::error_code ignored;
  if (ranks.is_first() && (has_prompts() || std::filesystem::exists(path, ignored)))
    lines_.emplace(path, last_evaluation);
}

std::optional<SampleLog::Drawn> SampleLog::draw(const models::CausalLm& policy, std::int64_t step,
                                                const std::function<bool()>& stop) {
  const generate::PromptShare share{.first = static_cast<size_t>(ranks_.rank()),
                                    .of = static_cast<size_t>(ranks_.size())};
  const auto num_samples = static_cast<size_t>(options_.num_samples);
  std::vector<std::string> lines(prompts_.size() * num_samples);
  Progress progress("samples", static_cast<std::int64_t>(lines.size() / share.of));
  Drawn own;
  const auto keep = [&](const generate::Completion& completion) {
    own.unfinished += !completion.finished;
    own.tokens += static_cast<std::int64_t>(completion.ids.size());
    Json line = {{"step", step}};
    line.update(completion_json(prompts_[completion.prompt], completion));
    lines[completion.prompt * num_samples + static_cast<size_t>(completion.sample)] = line.dump() + "\n";
    progress.update(++own.completions, 0);
  };
  bool done = false;
  std::string failure;
  train::side_by_side(policy, ranks_, [&] {
    try {
      done = generate::generate(policy, *tokenizer_, end_ids_, ids_, options_, keep, stop, share);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kModel) throw;
      done = true;
      failure = error.what();
    }
  });
  for (const std::string& each : ranks_.all_gather(failure)) {
    if (!each.empty()) throw model_error(each);
  }
  if (ranks_.any(!done)) return std::nullopt;
  std::string text;
  for (const std::string& line : lines) text += line;
  const std::vector<std::string> by_rank = ranks_.all_gather(text);
  if (lines_) {
    lines_->append(merge(by_rank, prompts_.size(), num_samples));
    lines_->sync();
    failpoint("samples.written");
  }
  return sum(own);
}

SampleLog::Drawn SampleLog::sum(const Drawn& own) const {
  Drawn all;
  for (const std::vector<double>& each : ranks_.all_gather(
           std::vector<double>{static_cast<double>(own.completions), static_cast<double>(own.unfinished),
                               static_cast<double>(own.tokens)})) {
    all.completions += static_cast<std::int64_t>(each[0]);
    all.unfinished += static_cast<std::int64_t>(each[1]);
    all.tokens += static_cast<std::int64_t>(each[2]);
  }
  return all;
}

}  // namespace ddro::run
