// samples.jsonl: what the policy answers to fixed prompts at each evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/data/prompts.h"
#include "ddro/dist/communicator.h"
#include "ddro/generate/generate.h"
#include "ddro/models/causal_lm.h"
#include "run/step_lines.h"

namespace ddro::run {

struct SamplePrompts {
  std::vector<data::Prompt> prompts;           // none: nothing is sampled
  const text::Tokenizer* tokenizer = nullptr;  // outlives what samples with it
  generate::TokenIds end_ids;
};

class SampleLog {
 public:
  struct Drawn {
    std::int64_t completions = 0;
    std::int64_t unfinished = 0;
    std::int64_t tokens = 0;
  };

  // The ranks share the prompts out; the first of them writes. Goes on with the file at `path`, of which the
  // samples of evaluations after step `last_evaluation` are cut off (-1: all). Without prompts no file is
  // made. Error(kSave) when it cannot be opened.
  SampleLog(SamplePrompts prompts, const generate::GenerateOptions& options,
            const std::filesystem::path& path, std::int64_t last_evaluation, const dist::Communicator& ranks);

  bool has_prompts() const { return !prompts_.empty(); }

  // Appends {"step": ..., completion_json} for each completion of `policy`, in the order of prompts and
  // samples, durably and in one piece; the random numbers are the same at every step. nullopt, and nothing
  // written, when `stop` became true on any rank before all were whole. Error(kModel) for log-probabilities
  // that are not finite, on all ranks, Error(kSave) on failure to write.
  std::optional<Drawn> draw(const models::CausalLm& policy, std::int64_t step,
                            const std::function<bool()>& stop);

 private:
  Drawn sum(const Drawn& own) const;

  std::vector<data::Prompt> prompts_;
  std::vector<generate::TokenIds> ids_;  // of the prompts
  const text::Tokenizer* tokenizer_;
  generate::TokenIds end_ids_;
  generate::GenerateOptions options_;
  const dist::Communicator& ranks_;
  std::optional<StepLines> lines_;
};

}  // namespace ddro::run
