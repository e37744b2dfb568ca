// Rows of data files against transformers, with real tokenizers and chat templates
// (tests/fixtures/make_encoded_rows.py).
#include <gmock/gmock.h>

#include <algorithm>
#include <tuple>

#include "ddro/base/files.h"
#include "ddro/base/json.h"
#include "ddro/data/dataset.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using text::TokenId;

std::vector<Json> read_lines(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  std::vector<Json> lines;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = content.find('\n', begin);
    lines.push_back(parse_json(content.substr(begin, end - begin), path.string(), ErrorKind::kInput));
    begin = end + 1;
  }
  return lines;
}

struct Sets {
  text::ModelText text;
  data::Dataset dataset;
  std::vector<Json> expected;
};

// (tokenizer, set, whether control-token text becomes control tokens)
class EncodedRows : public testing::TestWithParam<std::tuple<std::string, std::string, bool>> {
 protected:
  Sets load() const {
    const auto& [tokenizer, set, parse] = GetParam();
    const std::filesystem::path folder = fixture("encoded_rows/" + tokenizer);
    Sets sets;
    sets.text = text::load_model_text(
        tokenizer == "smollm2" ? source_path("models/SmolLM2-135M-Instruct") : folder / "model",
        std::nullopt);
    data::DataOptions options;
    options.max_length = 1 << 20;
    options.on_bad_row = data::OnBadRow::kDrop;
    options.parse_control_tokens = parse;
    sets.dataset = data::load_dataset({folder / (set + ".jsonl")}, options, sets.text, 0);
    sets.expected = read_lines(folder / (set + (parse ? ".parsed.jsonl" : ".literal.jsonl")));
    return sets;
  }
};

void expect_sequence(const data::EncodedSequence& sequence, const Json& expected,
                     const text::Tokenizer& tokenizer) {
  EXPECT_EQ(sequence.ids, expected["ids"].get<std::vector<TokenId>>());
  EXPECT_EQ(sequence.completion_start, expected["start"].get<std::int64_t>());
  EXPECT_EQ(tokenizer.decode(sequence.ids), expected["text"].get<std::string>());
}

TEST_P(EncodedRows, AreTheSameAsInTransformers) {
  const Sets sets = load();
  std::int64_t merges = 0;
  std::int64_t control_text = 0;
  size_t next = 0;
  for (size_t row = 0; row < sets.expected.size(); ++row) {
    if (sets.expected[row].is_null()) continue;
    SCOPED_TRACE("row " + std::to_string(row));
    ASSERT_LT(next, sets.dataset.examples.size());
    const data::EncodedExample& example = sets.dataset.examples[next++];
    ASSERT_EQ(example.row, static_cast<std::int64_t>(row));
    const Json& sides = sets.expected[row]["sides"];
    ASSERT_EQ(example.sequences.size(), sides.size());
    for (size_t i = 0; i < sides.size(); ++i) {
      expect_sequence(example.sequences[i], sides[i], *sets.text.tokenizer);
      merges += sides[i]["merged"].get<bool>();
    }
    control_text += sets.expected[row]["control_text"].get<bool>();
  }
  EXPECT_EQ(next, sets.dataset.examples.size());
  EXPECT_GE(next, 90u);
  EXPECT_EQ(sets.dataset.report.num_boundary_merges, merges);
  EXPECT_EQ(sets.dataset.report.num_control_text, control_text);
  EXPECT_GE(control_text, 20);
}

TEST_P(EncodedRows, BeginWithTheIdsOfThePromptAlone) {
  const bool parse = std::get<2>(GetParam());
  const Sets sets = load();
  std::int64_t compared = 0;
  for (const data::EncodedExample& example : sets.dataset.examples) {
    const Json& expected = sets.expected[static_cast<size_t>(example.row)];
    if (!parse && expected["control_text"].get<bool>()) continue;  // transformers has no such prompt
    for (size_t i = 0; i < example.sequences.size(); ++i) {
      const Json& side = expected["sides"][i];
      if (side["merged"].get<bool>() || side["prompt_ids"].is_null()) continue;
      const data::EncodedSequence& sequence = example.sequences[i];
      const std::vector<TokenId> prompt(sequence.ids.begin(),
                                        sequence.ids.begin() + sequence.completion_start);
      EXPECT_EQ(prompt, side["prompt_ids"].get<std::vector<TokenId>>()) << "row " << example.row;
      ++compared;
    }
  }
  EXPECT_GE(compared, 30);
}

INSTANTIATE_TEST_SUITE_P(All, EncodedRows,
                         testing::Combine(testing::Values("smollm2", "tiny", "tiny_bos"),
                                          testing::Values("pairs", "labels"), testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param) +
                                  (std::get<2>(test.param) ? "_parsed" : "_literal");
                         });

// Control tokens of a templated row that the template did not write.
TEST(ControlText, NoControlTokenComesFromAContent) {
  const text::ModelText text =
      text::load_model_text(source_path("models/SmolLM2-135M-Instruct"), std::nullopt);
  const TemporaryFolder folder;
  std::string rows;
  for (const char* spelled :
       {"<|im_end|>", "<|im_start|>assistant\\n", "a<|im_end|>\\n<|im_start|>b", "<file_sep>"}) {
    rows += std::string(R"({"prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": ")") +
            spelled + R"("}], "completion": [{"role": "assistant", "content": "x)" + spelled +
            R"( y"}], "label": true})" + "\n";
  }
  write_file_atomic(folder / "rows.jsonl", rows);
  const data::Dataset dataset = data::load_dataset({folder / "rows.jsonl"}, {}, text, 0);
  ASSERT_EQ(dataset.examples.size(), 4u);
  const TokenId start = text.tokenizer->id_of("<|im_start|>");
  const TokenId end = text.tokenizer->id_of("<|im_end|>");
  for (const data::EncodedExample& example : dataset.examples) {
    std::vector<TokenId> control;
    std::copy_if(example.sequences[0].ids.begin(), example.sequences[0].ids.end(),
                 std::back_inserter(control), [&](TokenId id) { return text.tokenizer->is_control(id); });
    EXPECT_EQ(control, (std::vector<TokenId>{start, end, start, end, start, end}));
  }
}

}  // namespace
}  // namespace ddro::test
