#include "ddro/data/mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "unit/data/fake_text.h"

namespace ddro::data {
namespace {

using test::message_of;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::IsEmpty;

class MixtureTest : public testing::Test {
 protected:
  Dataset load(const std::vector<TrainFiles>& files) const {
    Dataset set = load_dataset(patterns_of(files), options_, text_source(tokenizer_));
    set_mixture(files, set);
    return set;
  }
  std::string write(const std::string& name, int rows) const {
    std::string text;
    for (int i = 0; i < rows; ++i)
      text += R"({"prompt": "p", "chosen": "c", "rejected": ")" + std::to_string(i) + "\"}\n";
    return folder_.write(name, text);
  }

  TemporaryFolder folder_;
  FakeTokenizer tokenizer_ = turns_tokenizer();
  DataOptions options_;
};

std::vector<std::pair<std::int64_t, double>> parts_of(const Dataset& set) {
  std::vector<std::pair<std::int64_t, double>> parts;
  for (const MixturePart& part : set.parts()) parts.emplace_back(part.end, part.weight);
  return parts;
}

TEST_F(MixtureTest, HasAPartForEachEntryWhateverItsFiles) {
  const std::string a = write("a.jsonl", 4);
  write("b1.jsonl", 2);
  write("b2.jsonl", 3);
  const Dataset set = load({{a, 0.5}, {folder_ / "b*.jsonl", 1}, {a, 2}});
  EXPECT_THAT(set.file_ends, ElementsAre(4, 6, 9, 13));
  EXPECT_THAT(parts_of(set), ElementsAre(std::pair{4, 0.5}, std::pair{9, 1.0}, std::pair{13, 2.0}));
  EXPECT_EQ(set.class_weight(CompletionClass::kRejected), 2 + 5 + 8);
}

TEST_F(MixtureTest, OfWholeFilesIsNone) {
  const Dataset set = load({{write("a.jsonl", 4)}, {write("b.jsonl", 2)}});
  EXPECT_THAT(set.mixture, IsEmpty());
  EXPECT_THAT(parts_of(set), ElementsAre(std::pair{6, 1.0}));
}

TEST_F(MixtureTest, DroppedRowsAreNotDrawnFrom) {
  options_.on_bad_row = OnBadRow::kDrop;
  const std::string a = write("a.jsonl", 3);
  folder_.write("bad.jsonl", "{}\n");
  EXPECT_THAT(load({{a, 0.4}, {folder_ / "bad.jsonl"}, {a}}).file_ends, ElementsAre(3, 3, 6));
}

TEST_F(MixtureTest, RefusesAWeightThatDrawsNothing) {
  const std::string a = write("a.jsonl", 4);
  EXPECT_EQ(message_of(ErrorKind::kInput,
                       [&] {
                         load({{a, 0.1}});
                       }),
            "[data.train_files] the weight 0.1 of " + a + " draws none of its 4 usable rows");
}

}  // namespace
}  // namespace ddro::data
