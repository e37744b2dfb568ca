// `ddro-train generate` as a user runs it: against transformers, and against `score`.
#include <gmock/gmock.h>

#include <set>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ddro::test::ddro_train;
using ddro::test::ProgramResult;
using ::testing::HasSubstr;

std::vector<Json> parse_lines(const std::string& text) {
  std::vector<Json> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

std::string output_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = ddro_train(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

std::string smollm2() { return source_path("models/SmolLM2-135M-Instruct").string(); }
std::string tiny() { return fixture("tiny_run/model").string(); }

std::vector<std::string> generate(const std::string& model, const std::string& prompts,
                                  const std::vector<std::string>& more) {
  std::vector<std::string> all = {"generate", "--model", model, "--prompts", prompts};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Prompts as strings and as messages for the tiny model.
std::string tiny_prompts(const TemporaryFolder& folder) {
  const auto path = folder / "prompts.jsonl";
  write_file_atomic(path, R"({"prompt": "Q: Tell me about rivers.\nA:"}
{"prompt": [{"role": "user", "content": "Tell me about tea."}], "chosen": "ignored"}
{"prompt": "warm"}
)");
  return path.string();
}

// A row that `score` gives the log-probability of a completion for.
Json score_row(const Json& line) {
  Json completion = line["completion"];
  if (line["prompt"].is_array()) completion = Json::array({{{"role", "assistant"}, {"content", completion}}});
  return {{"prompt", line["prompt"]},
          {"completion", completion},
          {"label", true},
          {"finished", line["finished"]}};
}

// The log-probabilities and numbers of tokens that `score` finds for the completions of `lines`.
std::vector<Json> scores_of(const std::string& model, const std::vector<Json>& lines,
                            const std::string& dtype) {
  const TemporaryFolder folder;
  std::string rows;
  for (const Json& line : lines) rows += score_row(line).dump() + "\n";
  write_file_atomic(folder / "rows.jsonl", rows);
  return parse_lines(
      output_of({"score", "--model", model, "--data", (folder / "rows.jsonl").string(), "--dtype", dtype}));
}

TEST(Generate, GreedyCompletionsOfSmolLM2AreTransformersAndWhatScoreSays) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out.jsonl").string();
  const std::string prompts = fixture("generate/smollm2.jsonl").string();
  EXPECT_EQ(
      output_of(generate(smollm2(), prompts, {"--temperature", "0", "--max-new-tokens", "40", "--out", out})),
      "");
  const std::vector<Json> lines = parse_lines(read_file(out));
  const std::vector<Json> expected = parse_lines(read_file(prompts));
  ASSERT_EQ(lines.size(), expected.size());
  ASSERT_EQ(lines.size(), 8u);
  for (size_t i = 0; i < lines.size(); ++i) {
    for (const char* key : {"prompt", "completion", "finished"}) EXPECT_EQ(lines[i][key], expected[i][key]);
    EXPECT_NEAR(lines[i]["logp"].get<double>(), expected[i]["logp"].get<double>(), 1e-3);
  }
  const std::vector<Json> scores = scores_of(smollm2(), lines, "float32");
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_NEAR(lines[i]["logp"].get<double>(), scores[i]["logp"].get<double>(), 1e-3) << lines[i];
  }
}

TEST(Generate, LogProbabilitiesOfSamplesAreWhatScoreSays) {
  const TemporaryFolder folder;
  const std::vector<Json> lines =
      parse_lines(output_of(generate(tiny(), tiny_prompts(folder),
                                     {"--dtype", "float64", "--max-new-tokens", "6", "--num-samples", "300",
                                      "--temperature", "0.7", "--top-k", "40", "--top-p", "0.95"})));
  ASSERT_EQ(lines.size(), 900u);
  std::vector<Json> scorable;
  for (const Json& line : lines) {
    // What a tokenizer would cut otherwise, or a template would not give back, has other tokens.
    const std::string text = line["completion"];
    const bool plain = text.find("\xEF\xBF\xBD") == std::string::npos && text.find('<') == std::string::npos;
    if (plain && !text.empty()) scorable.push_back(line);
  }
  const std::vector<Json> scores = scores_of(tiny(), scorable, "float64");
  size_t equal = 0;
  for (size_t i = 0; i < scorable.size(); ++i) {
    const double difference = scorable[i]["logp"].get<double>() - scores[i]["logp"].get<double>();
    equal += std::abs(difference) < 1e-9;
  }
  // The rest are samples whose text has another tokenization.
  EXPECT_GT(equal, 50u) << "of " << scorable.size();
}

TEST(Generate, SamplesFollowTheSeedWhateverTheBatch) {
  const TemporaryFolder folder;
  const std::string prompts = tiny_prompts(folder);
  const auto sample = [&](const std::string& seed, const std::string& batch_size) {
    return output_of(generate(tiny(), prompts,
                              {"--dtype", "float64", "--max-new-tokens", "12", "--num-samples", "4", "--seed",
                               seed, "--batch-size", batch_size}));
  };
  const std::vector<Json> first = parse_lines(sample("7", "1"));
  const std::vector<Json> other = parse_lines(sample("7", "5"));
  ASSERT_EQ(first.size(), 12u);
  ASSERT_EQ(other.size(), 12u);
  std::set<std::string> texts;
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i]["completion"], other[i]["completion"]);
    EXPECT_EQ(first[i]["prompt"], first[i / 4 * 4]["prompt"]);
    texts.insert(first[i]["completion"]);
  }
  EXPECT_GT(texts.size(), 8u);
  EXPECT_NE(parse_lines(sample("8", "1"))[0]["completion"], first[0]["completion"]);
  EXPECT_EQ(first[4]["prompt"], Json::parse(R"([{"role": "user", "content": "Tell me about tea."}])"));
}

TEST(Generate, StopTextsAreCutOff) {
  const TemporaryFolder folder;
  const auto greedy = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--temperature", "0", "--max-new-tokens", "40"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return parse_lines(output_of(generate(smollm2(), fixture("generate/smollm2.jsonl").string(), arguments)));
  };
  const std::vector<Json> whole = greedy({});
  const std::vector<Json> cut = greedy({"--stop", "olours of the hum", "--stop", "\n    if"});
  ASSERT_EQ(cut.size(), whole.size());
  for (size_t i = 0; i < cut.size(); ++i) {
    const std::string text = whole[i]["completion"];
    const size_t end = std::min(text.find("olours of the hum"), text.find("\n    if"));
    EXPECT_EQ(cut[i]["completion"], text.substr(0, end));
    EXPECT_EQ(cut[i]["finished"].get<bool>(), whole[i]["finished"].get<bool>() || end != std::string::npos);
    if (end != std::string::npos) {
      EXPECT_GT(cut[i]["logp"].get<double>(), whole[i]["logp"].get<double>());
    }
  }
  EXPECT_EQ(cut[5]["completion"], " the primary c");
  EXPECT_EQ(cut[6]["completion"], "\ndef fibonacci(n):");
}

TEST(Generate, StopsAtTheModelsLastPosition) {
  const TemporaryFolder folder;
  for (const Json& line : parse_lines(output_of(
           generate(tiny(), tiny_prompts(folder), {"--max-new-tokens", "100000", "--temperature", "0"})))) {
    EXPECT_TRUE(line["completion"].is_string());
  }
  write_file_atomic(folder / "long.jsonl", Json({{"prompt", std::string(300, '~')}}).dump() + "\n");
  const ProgramResult refused = ddro_train(generate(tiny(), (folder / "long.jsonl").string(), {}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("long.jsonl:1: 300 tokens, which leaves a completion no room; the model "
                                     "has 256 positions"));
}

}  // namespace
}  // namespace ddro::test
