// Legend: T packed tokens, C positions asked for, N sequences, V vocabulary.
#include "ddro/generate/generate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>

#include "ddro/base/error.h"
#include "ddro/base/random.h"
#include "ddro/generate/sampling.h"
#include "ddro/ops/parallel_for.h"
#include "ddro/ops/upload.h"
#include "generate/completion_text.h"

namespace ddro::generate {
namespace {

// Prompts that run in one forward have at most so many tokens, unless one alone has more.
constexpr std::int64_t kPrefillTokens = 4096;

// Rows of logits on the host.
struct Logits {
  Tensor values_CV;  // float64
  Tensor log_sum_C;  // log of the sum of the exponentials

  std::span<const double> row(std::int64_t c) const {
    return {values_CV.const_data_ptr<double>() + c * values_CV.size(1),
            static_cast<size_t>(values_CV.size(1))};
  }
  double log_sum(std::int64_t c) const { return log_sum_C.const_data_ptr<double>()[c]; }
};

// A prompt whose tokens have run, with samples yet to begin.
struct ReadyPrompt {
  size_t index = 0;
  std::shared_ptr<const models::PackedKeyValues> kv;  // of all prompts of its forward
  std::int64_t begin = 0;                             // of its tokens in there
  std::shared_ptr<const Logits> logits;
  std::int64_t logits_row = 0;
  std::int64_t next_sample = 0;
};

struct Choice {
  text::TokenId id = 0;
  double logp = 0;
};

// A completion that goes on.
struct Sequence {
  Completion completion;
  CompletionText text;
  std::uint64_t random_stream;
  std::int64_t limit;  // tokens
};

class Generator {
 public:
  Generator(const models::CausalLm& model, const text::Tokenizer& tokenizer, const TokenIds& end_ids,
            const std::vector<TokenIds>& prompts, const GenerateOptions& options,
            const OnCompletion& on_completion, const std::function<bool()>& stop, const PromptShare& share)
      : model_(model),
        tokenizer_(tokenizer),
        end_ids_(end_ids),
        prompts_(prompts),
        options_(options),
        on_completion_(on_completion),
        stop_(stop),
        share_(share),
        device_(model.head_weight().device()),
        max_sequences_(std::min(options.batch_size, num_completions())),
        cache_(model.spec(), std::max<std::int64_t>(1, max_sequences_), model.head_weight().options()),
        next_prompt_(share.first) {
    for (size_t i = 0; i < prompts.size(); ++i) check_prompt(i);
  }

  // False when stopped.
  bool run() {
    while (fill()) {
      if (active_.empty()) return true;
      step();
    }
    return false;
  }

 private:
  std::int64_t num_completions() const {
    const size_t prompts =
        prompts_.size() > share_.first ? (prompts_.size() - share_.first - 1) / share_.of + 1 : 0;
    return static_cast<std::int64_t>(prompts) * options_.num_samples;
  }
  std::int64_t num_active() const { return static_cast<std::int64_t>(active_.size()); }

  void check_prompt(size_t index) const;
  bool fill();
  void prefill();
  void start(const ReadyPrompt& prompt, std::int64_t sample);
  void step();
  Logits logits_of(const models::ModelInput& input) const;
  Choice choose(const Logits& logits, std::int64_t row, const Sequence& sequence) const;
  bool add(Sequence& sequence, Choice choice) const;
  void report(Sequence sequence) const;

  const models::CausalLm& model_;
  const text::Tokenizer& tokenizer_;
  const TokenIds& end_ids_;
  const std::vector<TokenIds>& prompts_;
  const GenerateOptions& options_;
  const OnCompletion& on_completion_;
  const std::function<bool()>& stop_;
  PromptShare share_;
  at::Device device_;
  std::int64_t max_sequences_;
  models::KvCache cache_;  // sequence n is active_[n]'s: the prompt and all of its tokens but the newest
  size_t next_prompt_;
  std::deque<ReadyPrompt> ready_;
  std::vector<Sequence> active_;
};

void Generator::check_prompt(size_t index) const {
  const TokenIds& ids = prompts_[index];
  const std::string where = "[generate] prompt " + std::to_string(index + 1);
  if (ids.empty()) throw input_error(where + " has no tokens, so nothing predicts the first one");
  const models::ModelSpec& spec = model_.spec();
  if (static_cast<std::int64_t>(ids.size()) >= spec.max_position_embeddings) {
    throw input_error(where + " has " + std::to_string(ids.size()) +
                      " tokens, which leaves a completion no room; the model has " +
                      std::to_string(spec.max_position_embeddings) + " positions");
  }
  const auto [smallest, largest] = std::minmax_element(ids.begin(), ids.end());
  if (*smallest < 0 || *largest >= spec.vocab_size) {
    throw model_error(where + " has id " + std::to_string(*smallest < 0 ? *smallest : *largest) +
                      ", the model has " + std::to_string(spec.vocab_size) +
                      " ids; tokenizer and model do not belong together");
  }
}

// Starts samples until the batch is full or none is left. False when stopped.
bool Generator::fill() {
  while (num_active() < max_sequences_) {
    if (ready_.empty()) {
      if (next_prompt_ >= prompts_.size()) break;
      if (stop_()) return false;
      prefill();
    }
    ReadyPrompt& prompt = ready_.front();
    start(prompt, prompt.next_sample++);
    if (prompt.next_sample == options_.num_samples) ready_.pop_front();
  }
  return active_.empty() || !stop_();
}

// One packed forward over as many of the next prompts as the batch has room for.
void Generator::prefill() {
  std::vector<std::int64_t> ids, positions, last_places;
  std::vector<ops::AttentionSegment> segments;
  const auto kv = std::make_shared<models::PackedKeyValues>();
  const auto logits = std::make_shared<Logits>();
  for (std::int64_t room = max_sequences_ - num_active(); room > 0 && next_prompt_ < prompts_.size();
       room -= options_.num_samples) {
    const TokenIds& prompt = prompts_[next_prompt_];
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto length = static_cast<std::int64_t>(prompt.size());
    if (begin > 0 && begin + length > kPrefillTokens) break;
    ids.insert(ids.end(), prompt.begin(), prompt.end());
    for (std::int64_t i = 0; i < length; ++i) positions.push_back(i);
    segments.push_back({.begin = begin, .length = length});
    last_places.push_back(begin + length - 1);
    ready_.push_back({next_prompt_, kv, begin, logits, static_cast<std::int64_t>(segments.size()) - 1, 0});
    next_prompt_ += share_.of;
  }
  const ops::AttentionLayout layout(segments, device_);
  models::ModelInput input;
  const std::vector<Tensor> there = ops::upload({ids, positions, last_places}, device_);
  input.ids_T = there[0];
  input.positions_T = there[1];
  input.layout = &layout;
  input.output_positions_C = there[2];
  input.kept_kv = kv.get();
  *logits = logits_of(input);
}

void Generator::start(const ReadyPrompt& prompt, std::int64_t sample) {
  const TokenIds& ids = prompts_[prompt.index];
  const auto length = static_cast<std::int64_t>(ids.size());
  const auto seed = static_cast<std::uint64_t>(options_.seed);
  Completion completion;
  completion.prompt = prompt.index;
  completion.sample = sample;
  Sequence sequence{std::move(completion), CompletionText(tokenizer_, options_.stop, ids.back()),
                    random_bits(seed, prompt.index, static_cast<std::uint64_t>(sample)),
                    std::min(options_.max_new_tokens, model_.spec().max_position_embeddings - length)};
  if (add(sequence, choose(*prompt.logits, prompt.logits_row, sequence))) {
    report(std::move(sequence));
  } else {
    cache_.append(*prompt.kv, prompt.begin, length);
    active_.push_back(std::move(sequence));
  }
}

// One more token of every sequence.
void Generator::step() {
  std::vector<std::int64_t> ids, places;
  for (const Sequence& sequence : active_) {
    places.push_back(static_cast<std::int64_t>(ids.size()));
    ids.push_back(sequence.completion.ids.back());
  }
  models::ModelInput input;
  const std::vector<Tensor> there = ops::upload({ids, cache_.lengths(), places}, device_);
  input.ids_T = there[0];
  input.positions_T = there[1];
  input.output_positions_C = there[2];
  input.cache = &cache_;
  const Logits logits = logits_of(input);

  std::vector<Choice> choices(active_.size());
  ops::parallel_for(0, num_active(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      choices[static_cast<size_t>(n)] = choose(logits, n, active_[static_cast<size_t>(n)]);
    }
  });
  // From the back, so that what takes a finished one's place has been dealt with.
  for (size_t n = active_.size(); n-- > 0;) {
    if (!add(active_[n], choices[n])) continue;
    std::swap(active_[n], active_.back());
    report(std::move(active_.back()));
    active_.pop_back();
    cache_.remove(static_cast<std::int64_t>(n));
  }
}

Logits Generator::logits_of(const models::ModelInput& input) const {
  const Tensor logits_CV = models::logits(model_, model_.hidden(input)).to(at::kCPU, at::kDouble);
  return {logits_CV, logits_CV.logsumexp(1)};
}

Choice Generator::choose(const Logits& logits, std::int64_t row, const Sequence& sequence) const {
  const Completion& completion = sequence.completion;
  if (!std::isfinite(logits.log_sum(row))) {
    throw model_error("[generate] the model's log-probabilities for prompt " +
                      std::to_string(completion.prompt + 1) + " are not finite");
  }
  const double unit =
      random_unit(static_cast<std::uint64_t>(options_.seed), sequence.random_stream, completion.ids.size());
  const size_t token = sample_token(logits.row(row), options_.sampling, unit);
  return {static_cast<text::TokenId>(token), logits.row(row)[token] - logits.log_sum(row)};
}

// True when the sequence is whole.
bool Generator::add(Sequence& sequence, Choice choice) const {
  Completion& completion = sequence.completion;
  completion.ids.push_back(choice.id);
  completion.logp += choice.logp;
  completion.finished = std::find(end_ids_.begin(), end_ids_.end(), choice.id) != end_ids_.end() ||
                        sequence.text.push(choice.id);
  return completion.finished || static_cast<std::int64_t>(completion.ids.size()) == sequence.limit;
}

void Generator::report(Sequence sequence) const {
  sequence.completion.text = sequence.text.take();
  on_completion_(std::move(sequence.completion));
}

}  // namespace

bool generate(const models::CausalLm& model, const text::Tokenizer& tokenizer, const TokenIds& end_ids,
              const std::vector<TokenIds>& prompts, const GenerateOptions& options,
              const OnCompletion& on_completion, const std::function<bool()>& stop,
              const PromptShare& share) {
  const at::NoGradGuard no_grad;
  return Generator(model, tokenizer, end_ids, prompts, options, on_completion, stop, share).run();
}

}  // namespace ddro::generate
