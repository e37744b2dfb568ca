// What is generated: against transformers, against exact probabilities, and however the batch is cut.
#include "ddro/generate/generate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "ddro/base/json.h"
#include "ddro/generate/sampling.h"
#include "ddro/models/model_folder.h"
#include "parity/models/fixture_models.h"
#include "support/expect_error.h"
#include "support/on_device.h"
#include "support/tiny_model.h"

namespace ddro::generate {
namespace {

std::filesystem::path fixture(const std::string& name) {
  return test::environment_path("DDRO_FIXTURES") / name;
}

// Tokens of a tokenizer do not matter here: the models have ids of their own.
const text::Tokenizer& tokenizer() {
  static const auto loaded = text::load_tokenizer(fixture("tiny_run/model"));
  return *loaded;
}

// By prompt and sample.
using Completions = std::map<std::pair<size_t, std::int64_t>, Completion>;

Completions run(const models::CausalLm& model, const TokenIds& end_ids, const std::vector<TokenIds>& prompts,
                const GenerateOptions& options, const PromptShare& share = {}) {
  Completions result;
  const auto keep = [&](Completion completion) {
    const auto key = std::pair(completion.prompt, completion.sample);
    EXPECT_TRUE(result.emplace(key, std::move(completion)).second);
  };
  generate(
      model, tokenizer(), end_ids, prompts, options, keep, [] { return false; }, share);
  return result;
}

// log softmax of the model's logits after each of `ids`, in float64.
Tensor log_probabilities(const models::CausalLm& model, const TokenIds& ids) {
  const at::NoGradGuard no_grad;
  test::Packed packed;
  packed.add_whole(test::Sequence(ids.begin(), ids.end()));
  return at::log_softmax(test::logits_of(model, packed)[0].to(at::kDouble), -1);
}

double logp_of(const models::CausalLm& model, const TokenIds& prompt, const TokenIds& completion) {
  TokenIds ids = prompt;
  ids.insert(ids.end(), completion.begin(), completion.end());
  const Tensor logp = log_probabilities(model, ids);
  double sum = 0;
  for (size_t i = 0; i < completion.size(); ++i) {
    sum += logp[static_cast<std::int64_t>(prompt.size() + i) - 1][completion[i]].item<double>();
  }
  return sum;
}

std::unique_ptr<models::CausalLm> tiny(at::ScalarType dtype = at::kDouble) {
  return test::tiny_model(test::tiny_spec(), 11, dtype, /*trainable=*/false);
}

std::vector<TokenIds> some_prompts() {
  return {{5, 17, 3}, {7}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {60, 61}, {90, 91, 92, 93}, {44}, {5, 17, 3}};
}

TEST(Generate, GreedyTokensAreTransformers) {
  const Json expected = read_json_file(fixture("generate/greedy.json").string(), ErrorKind::kInput);
  ASSERT_EQ(expected.size(), 5u);
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_new_tokens = 40;
  for (const auto& [name, rows] : expected.items()) {
    const models::ModelFolder folder = models::open_model_folder(fixture("generate/" + name));
    const auto model = models::make_causal_lm(folder.spec, folder.tensors, {.trainable = false});
    std::vector<TokenIds> prompts;
    for (const Json& row : rows) prompts.push_back(row["prompt"]);
    for (const std::int64_t batch_size : {1, 3, 16}) {
      options.batch_size = batch_size;
      const Completions got = run(*model, {2}, prompts, options);
      ASSERT_EQ(got.size(), prompts.size());
      for (const auto& [key, completion] : got) {
        EXPECT_EQ(completion.ids, rows[key.first]["completion"].get<TokenIds>()) << name << " " << key.first;
      }
    }
  }
}

class GenerateOn : public test::OnDevice {};

// Greedy in float32, where no two tokens are as probable as each other; in bfloat16 another token may be
// taken, whose log-probability is still its own.
TEST_P(GenerateOn, TokensAreThoseOfFloat64) {
  const models::ModelSpec spec = test::tiny_spec();
  const NamedTensors weights = test::tiny_weights(spec, 11);
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_new_tokens = 30;
  options.batch_size = 4;
  const Completions expected = run(*tiny(), {9}, some_prompts(), options);
  const auto on_device = [&](at::ScalarType dtype) {
    const auto model =
        models::make_causal_lm(spec, weights, {.device = device(), .dtype = dtype, .trainable = false});
    return run(*model, {9}, some_prompts(), options);
  };
  for (const auto& [key, completion] : on_device(at::kFloat)) {
    EXPECT_EQ(completion.ids, expected.at(key).ids);
    EXPECT_NEAR(completion.logp, expected.at(key).logp, 1e-3);
  }
  for (const auto& [key, completion] : on_device(at::kBFloat16)) {
    EXPECT_NEAR(completion.logp, logp_of(*tiny(), some_prompts()[key.first], completion.ids),
                0.1 * static_cast<double>(completion.ids.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(GenerateCpu, GenerateOn, ::testing::Values(at::kCPU));
INSTANTIATE_TEST_SUITE_P(GenerateCuda, GenerateOn, ::testing::Values(at::kCUDA));

TEST(Generate, LogProbabilitiesAreTheModelsOwnAtEveryTemperature) {
  const auto model = tiny();
  for (const double temperature : {0.0, 0.5, 1.0, 2.0}) {
    GenerateOptions options;
    options.sampling = {temperature, 20, 0.9};
    options.max_new_tokens = 30;
    options.num_samples = 3;
    options.batch_size = 4;
    const auto prompts = some_prompts();
    const Completions got = run(*model, {9, 33}, prompts, options);
    ASSERT_EQ(got.size(), prompts.size() * 3);
    for (const auto& [key, completion] : got) {
      EXPECT_NEAR(completion.logp, logp_of(*model, prompts[key.first], completion.ids), 1e-9);
    }
  }
}

TEST(Generate, SamplesDependOnSeedPromptAndSampleAlone) {
  const auto model = tiny();
  GenerateOptions options;
  options.max_new_tokens = 25;
  options.num_samples = 3;
  std::vector<TokenIds> prompts = some_prompts();
  const Completions first = run(*model, {9}, prompts, options);
  const auto expect_same = [&](const Completions& got) {
    for (const auto& [key, completion] : got) {
      EXPECT_EQ(completion.ids, first.at(key).ids);
      EXPECT_EQ(completion.text, first.at(key).text);
      EXPECT_EQ(completion.finished, first.at(key).finished);
      EXPECT_NEAR(completion.logp, first.at(key).logp, 1e-9);
    }
  };
  for (const std::int64_t batch_size : {1, 2, 5, 64}) {
    options.batch_size = batch_size;
    expect_same(run(*model, {9}, prompts, options));
  }
  prompts[1] = {3, 3, 3, 3};
  prompts.resize(5);
  Completions others = run(*model, {9}, prompts, options);
  for (std::int64_t sample = 0; sample < 3; ++sample) others.erase({1, sample});
  expect_same(others);

  // Equal prompts at different places, samples of one prompt and other seeds differ.
  EXPECT_NE(first.at({0, 0}).ids, first.at({6, 0}).ids);
  EXPECT_NE(first.at({0, 0}).ids, first.at({0, 1}).ids);
  options.seed = 43;
  EXPECT_NE(run(*model, {9}, some_prompts(), options).at({0, 0}).ids, first.at({0, 0}).ids);
}

TEST(Generate, SharesOfThePromptsAreTogetherThatOfAll) {
  const auto model = tiny();
  GenerateOptions options;
  options.max_new_tokens = 25;
  options.num_samples = 2;
  options.batch_size = 3;
  const Completions all = run(*model, {9}, some_prompts(), options);
  for (const size_t of : {2, 3, 9}) {  // seven prompts: of nine shares two are empty
    Completions shares;
    for (size_t first = 0; first < of; ++first) {
      for (auto& [key, completion] : run(*model, {9}, some_prompts(), options, {.first = first, .of = of})) {
        EXPECT_EQ(key.first % of, first);
        EXPECT_TRUE(shares.emplace(key, std::move(completion)).second);
      }
    }
    ASSERT_EQ(shares.size(), all.size());
    for (const auto& [key, completion] : shares) {
      EXPECT_EQ(completion.ids, all.at(key).ids);
      EXPECT_EQ(completion.text, all.at(key).text);
      EXPECT_NEAR(completion.logp, all.at(key).logp, 1e-9);
    }
  }
}

// Tokens of a batch are chosen on all threads.
TEST(Generate, SamplesAreTheSameByAnyNumberOfThreads) {
  const auto model = tiny();
  GenerateOptions options;
  options.max_new_tokens = 25;
  options.num_samples = 2;
  options.batch_size = 8;
  const int threads = at::get_num_threads();
  const auto run_on = [&](int number) {
    at::set_num_threads(number);
    const Completions got = run(*model, {9}, some_prompts(), options);
    at::set_num_threads(threads);
    return got;
  };
  const Completions alone = run_on(1);
  for (const auto& [key, completion] : run_on(3)) {
    EXPECT_EQ(completion.ids, alone.at(key).ids);
    EXPECT_EQ(completion.text, alone.at(key).text);
    EXPECT_NEAR(completion.logp, alone.at(key).logp, 1e-9);
  }
}

TEST(Generate, EndsBeforeTheNextForwardWhenStopped) {
  const auto model = tiny();
  GenerateOptions options;
  options.max_new_tokens = 6;
  options.batch_size = 2;
  const std::vector<TokenIds> prompts = some_prompts();
  const auto run_for = [&](int forwards) {
    size_t completions = 0;
    const bool whole = generate(
        *model, tokenizer(), {}, prompts, options, [&](const Completion&) { ++completions; },
        [&] { return forwards-- == 0; });
    return std::pair(whole, completions);
  };
  EXPECT_EQ(run_for(0), std::pair(false, size_t{0}));
  // A forward over two prompts gives their first tokens, five more forwards the rest.
  EXPECT_EQ(run_for(5), std::pair(false, size_t{0}));
  EXPECT_EQ(run_for(6), std::pair(false, size_t{2}));
  EXPECT_EQ(run_for(12), std::pair(false, size_t{4}));
  EXPECT_EQ(run_for(24), std::pair(true, prompts.size()));
}

// Pearson's statistic of the tokens sampled after `prompt` against their probabilities, and its degrees of
// freedom; rare tokens count as one.
std::pair<double, int> chi_square(const std::map<text::TokenId, int>& counts,
                                  const std::vector<Candidate>& distribution, int samples) {
  double statistic = 0, rare_expected = 0, rare_count = 0;
  int cells = 0, counted = 0;
  for (const Candidate& candidate : distribution) {
    const double expected = candidate.probability * samples;
    const auto found = counts.find(static_cast<text::TokenId>(candidate.token));
    const int count = found == counts.end() ? 0 : found->second;
    counted += count;
    if (expected < 8) {
      rare_expected += expected;
      rare_count += count;
      continue;
    }
    statistic += (count - expected) * (count - expected) / expected;
    ++cells;
  }
  EXPECT_EQ(counted, samples) << "a token outside the distribution";
  if (rare_expected > 0) {
    statistic += (rare_count - rare_expected) * (rare_count - rare_expected) / rare_expected;
    ++cells;
  }
  return {statistic, cells - 1};
}

TEST(Generate, SampledFrequenciesAreTheProbabilities) {
  const auto model = tiny();
  const TokenIds prompt = {5, 17, 3};
  const Tensor logp = log_probabilities(*model, prompt)[-1];
  const std::span<const double> logits(logp.const_data_ptr<double>(), static_cast<size_t>(logp.numel()));
  for (const SamplingOptions sampling :
       {SamplingOptions{1, 0, 1}, SamplingOptions{0.6, 0, 1}, SamplingOptions{1, 7, 1},
        SamplingOptions{1.2, 0, 0.7}, SamplingOptions{0.8, 12, 0.9}}) {
    GenerateOptions options;
    options.sampling = sampling;
    options.max_new_tokens = 2;  // the first from the prompt's forward, the second from the cache
    options.num_samples = 20000;
    options.batch_size = 1000;
    std::map<text::TokenId, int> first;
    std::map<text::TokenId, std::map<text::TokenId, int>> second;
    for (const auto& [key, completion] : run(*model, {}, {prompt}, options)) {
      ++first[completion.ids[0]];
      ++second[completion.ids[0]][completion.ids[1]];
    }
    const auto expect_fits = [&](const std::map<text::TokenId, int>& counts, std::span<const double> row,
                                 int samples) {
      const auto [statistic, freedom] = chi_square(counts, token_distribution(row, sampling), samples);
      // Five standard deviations above the mean: 1 in 10^5 with the right distribution.
      EXPECT_LT(statistic, freedom + 5 * std::sqrt(2.0 * freedom) + 5)
          << freedom << " degrees of freedom, temperature " << sampling.temperature << ", top_k "
          << sampling.top_k << ", top_p " << sampling.top_p;
    };
    expect_fits(first, logits, 20000);
    const auto most =
        std::max_element(first.begin(), first.end(), [](auto& a, auto& b) { return a.second < b.second; });
    TokenIds longer = prompt;
    longer.push_back(most->first);
    const Tensor next = log_probabilities(*model, longer)[-1];
    expect_fits(second[most->first], {next.const_data_ptr<double>(), logits.size()}, most->second);
  }
}

TEST(Generate, EndsAtEndTokensLimitsAndStopTexts) {
  const auto model = tiny();
  GenerateOptions options;
  options.max_new_tokens = 30;
  options.num_samples = 20;
  const std::vector<TokenIds> prompts = some_prompts();
  const TokenIds end_ids = {9, 33, 50, 71};
  const auto is_end = [&](text::TokenId id) {
    return std::find(end_ids.begin(), end_ids.end(), id) != end_ids.end();
  };
  int finished = 0;
  std::string stop;
  for (const auto& [key, completion] : run(*model, end_ids, prompts, options)) {
    const size_t length = completion.ids.size();
    for (size_t i = 0; i + 1 < length; ++i) EXPECT_FALSE(is_end(completion.ids[i]));
    EXPECT_EQ(completion.finished, is_end(completion.ids.back()));
    if (!completion.finished) {
      EXPECT_EQ(length, 30u);
    }
    const std::span<const text::TokenId> kept = std::span(completion.ids).first(length - completion.finished);
    EXPECT_EQ(completion.text, tokenizer().decode(kept));
    finished += completion.finished;
    if (key.first == 0 && key.second == 0) stop = completion.text.substr(completion.text.size() / 2, 2);
  }
  EXPECT_GT(finished, 20);
  EXPECT_LT(finished, 140);

  options.stop = {stop};
  int stopped = 0;
  for (const auto& [key, completion] : run(*model, end_ids, prompts, options)) {
    EXPECT_EQ(completion.text.find(stop), std::string::npos);
    if (!completion.finished || is_end(completion.ids.back())) continue;
    ++stopped;
    const std::string whole = tokenizer().decode(completion.ids);
    EXPECT_EQ(whole.substr(0, whole.find(stop)), completion.text);
    EXPECT_NEAR(completion.logp, logp_of(*model, prompts[key.first], completion.ids), 1e-9);
  }
  EXPECT_GT(stopped, 0);
}

TEST(Generate, EndsAtTheModelsLastPosition) {
  models::ModelSpec spec = test::tiny_spec();
  spec.max_position_embeddings = 12;
  const auto model = test::tiny_model(spec, 11, at::kDouble, false);
  GenerateOptions options;
  options.max_new_tokens = std::numeric_limits<std::int32_t>::max();
  for (const auto& [key, completion] : run(*model, {}, some_prompts(), options)) {
    EXPECT_EQ(some_prompts()[key.first].size() + completion.ids.size(), 12u);
    EXPECT_FALSE(completion.finished);
  }
}

TEST(Generate, RefusesPromptsThatDoNotFit) {
  const auto model = tiny();
  const auto refused = [&](ErrorKind kind, const TokenIds& prompt) {
    return ddro::test::message_of(kind, [&] { run(*model, {9}, {{1}, prompt}, {}); });
  };
  EXPECT_THAT(refused(ErrorKind::kInput, {}), ::testing::HasSubstr("[generate] prompt 2 has no tokens"));
  EXPECT_THAT(refused(ErrorKind::kInput, TokenIds(256, 5)),
              ::testing::HasSubstr("prompt 2 has 256 tokens, which leaves a completion no room"));
  EXPECT_THAT(refused(ErrorKind::kModel, {4, 97}),
              ::testing::HasSubstr("prompt 2 has id 97, the model has 97"));
}

TEST(Generate, RefusesAModelThatGivesNoNumbers) {
  models::ModelSpec spec = test::tiny_spec();
  NamedTensors tensors = test::tiny_weights(spec, 1);
  tensors.back().second[0] = std::nan("");
  const auto model = models::make_causal_lm(spec, tensors, {.trainable = false});
  EXPECT_THAT(ddro::test::message_of(ErrorKind::kModel, [&] { run(*model, {9}, {{1}}, {}); }),
              ::testing::HasSubstr("log-probabilities for prompt 1 are not finite"));
}

TEST(Generate, OfNoPromptsIsNothing) { EXPECT_TRUE(run(*tiny(), {9}, {}, {}).empty()); }

}  // namespace
}  // namespace ddro::generate
