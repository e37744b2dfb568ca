#include "run/sample_log.h"

#include <fstream>
#include <limits>
#include <map>

#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ddro::run {
namespace {

// Of the tokenizer's ids the model has the first 97.
const text::Tokenizer& tokenizer() {
  static const auto loaded = text::load_tokenizer(test::fixture("tiny_run/model"));
  return *loaded;
}

SamplePrompts two_prompts() {
  const Json messages = Json::array({{{"role", "user"}, {"content", "hi"}}});
  return {{{"p:1", std::string("text"), {5, 17, 3}}, {"p:2", messages, {7}}}, &tokenizer(), {9}};
}

generate::GenerateOptions two_of_each() {
  generate::GenerateOptions options;
  options.num_samples = 2;
  options.max_new_tokens = 12;
  return options;
}

bool never() { return false; }

std::unique_ptr<models::CausalLm> policy() {
  return test::tiny_model(test::tiny_spec(), 11, at::kFloat, /*trainable=*/true);
}

std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

TEST(SampleLog, WritesWhatThePolicyGeneratesInTheOrderOfPromptsAndSamples) {
  const test::TemporaryFolder folder;
  const auto path = folder / "samples.jsonl";
  const auto model = policy();
  const SamplePrompts prompts = two_prompts();
  const auto options = two_of_each();
  std::map<std::pair<size_t, std::int64_t>, generate::Completion> expected;
  generate::generate(*model, tokenizer(), prompts.end_ids, {prompts.prompts[0].ids, prompts.prompts[1].ids},
                     options, [&](const generate::Completion& c) {
                       expected[{c.prompt, c.sample}] = c;
                     });
  ASSERT_EQ(expected.size(), 4u);

  SampleLog log(prompts, options, path, -1, dist::alone());
  EXPECT_TRUE(log.has_prompts());
  const auto drawn = log.draw(*model, 3, never);
  ASSERT_TRUE(drawn.has_value());
  EXPECT_EQ(drawn->completions, 4);
  const std::vector<Json> lines = lines_of(path);
  ASSERT_EQ(lines.size(), 4u);
  std::int64_t tokens = 0;
  std::int64_t unfinished = 0;
  auto line = lines.begin();
  for (const auto& [key, completion] : expected) {
    EXPECT_EQ(*line,
              (Json{{"step", 3},
                    {"prompt", key.first == 0 ? Json("text") : std::get<Json>(prompts.prompts[1].content)},
                    {"completion", completion.text},
                    {"finished", completion.finished},
                    {"logp", completion.logp}}));
    tokens += static_cast<std::int64_t>(completion.ids.size());
    unfinished += completion.finished ? 0 : 1;
    ++line;
  }
  EXPECT_EQ(drawn->tokens, tokens);
  EXPECT_EQ(drawn->unfinished, unfinished);
}

TEST(SampleLog, TakesTheSameRandomNumbersAtEveryStep) {
  const test::TemporaryFolder folder;
  const auto model = policy();
  SampleLog log(two_prompts(), two_of_each(), folder / "samples.jsonl", -1, dist::alone());
  log.draw(*model, 0, never);
  log.draw(*model, 5, never);
  std::vector<Json> lines = lines_of(folder / "samples.jsonl");
  ASSERT_EQ(lines.size(), 8u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(lines[i + 4]["step"], 5);
    lines[i + 4]["step"] = 0;
    EXPECT_EQ(lines[i + 4], lines[i]);
  }
}

TEST(SampleLog, WritesNothingWhenStopped) {
  const test::TemporaryFolder folder;
  const auto model = policy();
  SampleLog log(two_prompts(), two_of_each(), folder / "samples.jsonl", -1, dist::alone());
  int asked = 0;
  log.draw(*model, 1, [&] {
    ++asked;
    return false;
  });
  EXPECT_GT(asked, 2);  // once a token
  const std::string before = read_file(folder / "samples.jsonl");
  for (int allowed = 0; allowed < asked; ++allowed) {
    int left = allowed;
    EXPECT_FALSE(log.draw(*model, 2, [&] { return left-- == 0; }).has_value()) << allowed;
    EXPECT_EQ(read_file(folder / "samples.jsonl"), before);
  }
}

TEST(SampleLog, GoesOnBehindTheNewestEvaluation) {
  const test::TemporaryFolder folder;
  const auto path = folder / "samples.jsonl";
  const auto model = policy();
  std::string first;
  {
    SampleLog log(two_prompts(), two_of_each(), path, -1, dist::alone());
    log.draw(*model, 4, never);
    first = read_file(path);
    log.draw(*model, 8, never);
  }
  SampleLog(two_prompts(), two_of_each(), path, 4, dist::alone());
  EXPECT_EQ(read_file(path), first);
  SampleLog without(SamplePrompts{}, two_of_each(), path, -1,
                    dist::alone());  // nothing of another run is left
  EXPECT_FALSE(without.has_prompts());
  EXPECT_EQ(read_file(path), "");
}

TEST(SampleLog, MakesNoFileWithoutPrompts) {
  const test::TemporaryFolder folder;
  SampleLog(SamplePrompts{}, two_of_each(), folder / "samples.jsonl", -1, dist::alone());
  EXPECT_FALSE(std::filesystem::exists(folder / "samples.jsonl"));
}

TEST(SampleLog, RefusesAPolicyWithoutFiniteProbabilities) {
  const test::TemporaryFolder folder;
  const auto spec = test::tiny_spec();
  NamedTensors weights = test::tiny_weights(spec, 11);
  for (auto& [name, tensor] : weights) {
    if (name == "model.norm.weight") tensor.fill_(std::numeric_limits<double>::infinity());
  }
  models::BuildOptions build;
  build.dtype = at::kFloat;
  const auto model = models::make_causal_lm(spec, weights, build);
  SampleLog log(two_prompts(), two_of_each(), folder / "samples.jsonl", -1, dist::alone());
  EXPECT_THAT(ddro::test::message_of(ErrorKind::kModel, [&] { log.draw(*model, 1, never); }),
              ::testing::HasSubstr("are not finite"));
  EXPECT_EQ(read_file(folder / "samples.jsonl"), "");
}

}  // namespace
}  // namespace ddro::run
