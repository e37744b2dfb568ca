#include "ddro/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/interruption.h"
#include "support/temporary_folder.h"
#include "unit/data/fake_text.h"

namespace ddro::data {
namespace {

using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string pair(const std::string& prompt, const std::string& chosen, const std::string& rejected) {
  return Json({{"prompt", prompt}, {"chosen", chosen}, {"rejected", rejected}}).dump() + "\n";
}
std::string single(const std::string& prompt, const std::string& completion, bool label) {
  return Json({{"prompt", prompt}, {"completion", completion}, {"label", label}}).dump() + "\n";
}

class LoadDataset : public testing::Test {
 protected:
  Dataset load(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(folder_ / name);
    return load_dataset(paths, options_, text_source(tokenizer_));
  }
  std::string problem_of(const std::vector<std::string>& names) {
    try {
      load(names);
      return "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
  }
  std::string place(const std::string& name, int line) {
    return (folder_ / name).string() + ":" + std::to_string(line);
  }

  TemporaryFolder folder_;
  FakeTokenizer tokenizer_ = turns_tokenizer();
  DataOptions options_;
};

TEST_F(LoadDataset, SaysHowManyAnswersRepeatTheirPrompt) {
  folder_.write("a.jsonl", pair("p\n", "p\na", "p\nb") + pair("p", "a", "b") + pair("p\n", "p\nc", "p\nd") +
                               pair("p", "pa", "pb"));
  testing::internal::CaptureStderr();
  const Dataset set = load({"a.jsonl"});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("a.jsonl: layout pairs, 1 rows; "
                        "pairs whose answers begin with their short prompt, which is left there, 1 rows; "
                        "pairs with the prompt repeated in the answers, where it is cut off, 2 rows"));
  const auto size = [&](size_t row) { return set.examples[row].sequences[0].ids.size(); };
  EXPECT_EQ(size(0), size(1) + 1);  // the line break
}

TEST_F(LoadDataset, ReadsSeveralFilesInOrder) {
  const std::string b = "\xEF\xBB\xBF" + pair("p", "b1", "x") + "\r\n" + pair("p", "b2", "x");
  const std::string a = pair("p", "a1", "xx");
  const std::string last =
      R"({"prompt": "p", "chosen": "c", "rejected": "d", "weight": 3, "id": 1, "note": 2})";
  folder_.write("z.jsonl", b);
  folder_.write("s1.jsonl", a);
  folder_.write("s2.jsonl", last);
  const Dataset set = load({"z.jsonl", "s*.jsonl"});
  EXPECT_EQ(set.kind, RowKind::kPaired);
  EXPECT_THAT(set.wheres.all(), ElementsAre(place("z.jsonl", 1), place("z.jsonl", 3), place("s1.jsonl", 1),
                                            place("s2.jsonl", 1)));
  ASSERT_EQ(set.examples.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(set.examples[i].row, static_cast<std::int64_t>(i));
  EXPECT_EQ(set.examples[2].sequences[0].ids, joined({bytes_of("pa1"), {kFirstControl}}));
  EXPECT_EQ(set.report.num_rows, 4);
  EXPECT_THAT(set.report.ignored_fields, ElementsAre("id", "note"));
  EXPECT_EQ(set.class_weight(CompletionClass::kChosen), 6.0);
  EXPECT_EQ(set.class_weight(CompletionClass::kRejected), 6.0);
  EXPECT_EQ(set.num_tokens(), 2 * (4 + 3) + 4 + 4 + 3 + 3);
  EXPECT_EQ(set.content_hash, hash_text(b + a + last));
}

TEST_F(LoadDataset, CountsWhatIsOdd) {
  tokenizer_.merges = {"ab"};
  folder_.write("a", single("xa", "b", true) + single("q", "r", true) + single("q", "r", false) +
                         single("q", "r", true) + single("q", "<|end|>", false));
  const DatasetReport labels = load({"a"}).report;
  EXPECT_EQ(labels.num_boundary_merges, 1);
  EXPECT_EQ(labels.num_duplicates, 1);
  EXPECT_EQ(labels.num_both_labels, 1);
  EXPECT_EQ(labels.num_control_text, 1);
  EXPECT_EQ(labels.num_chosen_equals_rejected, 0);
  EXPECT_THAT(labels.ignored_fields, IsEmpty());

  folder_.write("b", pair("q", "r", "s") + pair("q", "s", "r") + pair("q", "t", "t") + pair("q", "r", "s"));
  const DatasetReport pairs = load({"b"}).report;
  EXPECT_EQ(pairs.num_chosen_equals_rejected, 1);
  EXPECT_EQ(pairs.num_both_labels, 2);
  EXPECT_EQ(pairs.num_duplicates, 1);
}

TEST_F(LoadDataset, ABadRowEndsTheRunAtItsLine) {
  folder_.write("a", pair("p", "c", "r") + "\n" + R"({"prompt": "p", "rejected": "r"})" + "\n{}\n");
  EXPECT_EQ(problem_of({"a"}), "[data] " + place("a", 3) +
                                   ": \"chosen\" is missing; a paired row needs prompt, chosen and rejected");
  folder_.write("b", pair("p", "c", "r") + pair("p", "c", "r").substr(0, 17));
  EXPECT_EQ(problem_of({"b"}),
            "[data] " + place("b", 2) +
                ": not valid JSON at byte 18 near \"\"ch\"; the file's last line has no newline and "
                "may be cut off");
}

TEST_F(LoadDataset, BadRowsAreDroppedOnRequest) {
  options_.on_bad_row = OnBadRow::kDrop;
  folder_.write("a", "{}\n" + pair("p", "c", "r") + pair("", "c", "r") + "[\n" + pair("p", "c", "s"));
  const Dataset set = load({"a"});
  EXPECT_EQ(set.report.num_rows, 5);
  EXPECT_THAT(set.wheres.all(), ElementsAre(place("a", 2), place("a", 5)));
  EXPECT_EQ(set.examples[1].row, 4);
  ASSERT_EQ(set.dropped.size(), 3u);
  EXPECT_EQ(set.dropped[0].row, 0);
  EXPECT_EQ(set.dropped[0].where, place("a", 1));
  EXPECT_THAT(set.dropped[0].reason, StartsWith("neither a paired nor an unpaired row"));
  EXPECT_THAT(set.dropped[1].reason, StartsWith("\"chosen\": no token stands before the completion"));
  EXPECT_EQ(set.dropped[2].row, 3);
  EXPECT_THAT(set.dropped[2].reason, StartsWith("not valid JSON"));
}

TEST_F(LoadDataset, ALineAboveTheLimitIsABadRow) {
  folder_.write("a", std::string((size_t{64} << 20) + 1, '{') + "\n" + pair("p", "c", "r"));
  EXPECT_EQ(problem_of({"a"}), "[data] " + place("a", 1) + ": the row has more than 64 MB");
  options_.on_bad_row = OnBadRow::kDrop;
  EXPECT_THAT(load({"a"}).wheres.all(), ElementsAre(place("a", 2)));
}

TEST_F(LoadDataset, OverlongRowsAreRefusedTogether) {
  std::string rows;
  for (int i = 0; i < 200; ++i)
    rows += pair("p", std::string(static_cast<size_t>(i + 1), 'c'), "r");  // 3 .. 202 tokens
  folder_.write("a", rows);
  options_.max_length = 100;
  EXPECT_EQ(problem_of({"a"}),
            "[data] " + place("a", 99) +
                ": 101 tokens, more than data.max_length 100; 102 of 200 rows do not fit, 200 would "
                "fit 99 %, 202 all; raise data.max_length, or set data.on_overlength to drop or "
                "truncate");
  options_.on_overlength = OnOverlength::kDrop;
  const Dataset dropped = load({"a"});
  EXPECT_EQ(dropped.examples.size(), 98u);
  EXPECT_EQ(dropped.dropped.size(), 102u);
  EXPECT_EQ(dropped.dropped[0].reason, "101 tokens, more than data.max_length 100");
  options_.on_overlength = OnOverlength::kTruncate;
  const Dataset truncated = load({"a"});
  EXPECT_EQ(truncated.examples.size(), 200u);
  EXPECT_EQ(truncated.report.num_truncated, 102);
  options_.max_length = 2;
  EXPECT_EQ(load({"a"}).examples[0].sequences[0].ids, bytes_of("pc"));
}

TEST_F(LoadDataset, APromptThatLeavesNoRoomIsABadRow) {
  options_.max_length = 4;
  options_.on_overlength = OnOverlength::kTruncate;
  folder_.write("a", pair("p", "c", "r") + pair("pppp", "c", "r"));
  const std::string reason =
      "the prompt alone has 4 tokens, which leaves the completion no room; data.max_length is 4";
  EXPECT_EQ(problem_of({"a"}), "[data] " + place("a", 2) + ": " + reason +
                                   "; raise data.max_length, or set data.on_bad_row to drop");
  options_.on_bad_row = OnBadRow::kDrop;
  const Dataset dropped = load({"a"});
  ASSERT_EQ(dropped.dropped.size(), 1u);
  EXPECT_EQ(dropped.dropped[0].reason, reason);
}

TEST_F(LoadDataset, KindsAreNotMixed) {
  options_.on_bad_row = OnBadRow::kDrop;
  folder_.write("a", "{}\n" + single("p", "c", true));
  folder_.write("b", pair("p", "c", "r"));
  EXPECT_EQ(problem_of({"a", "b"}), "[data] " + place("b", 1) + ": a paired row among unpaired ones (" +
                                        place("a", 2) + "); expected one kind in a set");
  EXPECT_THAT(problem_of({"b", "a"}), HasSubstr(": an unpaired row among paired ones ("));
  folder_.write("unusable", pair("", "c", "r"));
  EXPECT_THAT(problem_of({"a", "unusable"}), HasSubstr(": a paired row among unpaired ones ("));
}

TEST_F(LoadDataset, ASetNeedsAUsableRow) {
  folder_.write("empty", "\n\n");
  EXPECT_EQ(problem_of({"empty"}), "[data] " + (folder_ / "empty").string() + ": no rows");
  folder_.write("bad", "{}\n[]\n");
  options_.on_bad_row = OnBadRow::kDrop;
  EXPECT_THAT(problem_of({"bad"}),
              StartsWith("[data] " + (folder_ / "bad").string() + ": no usable row among 2; the first, " +
                         place("bad", 1) + ": neither a paired nor an unpaired row"));
  EXPECT_THAT(problem_of({"missing"}), HasSubstr("no such file"));
}

TEST_F(LoadDataset, TheFirstErrorDoesNotDependOnThreads) {
  std::string rows;
  for (int i = 0; i < 5000; ++i)
    rows += i >= 3000 ? "{}\n" : pair("p", std::string(static_cast<size_t>(i % 300 + 1), 'c'), "r");
  folder_.write("a", rows);
  for (int repeat = 0; repeat < 3; ++repeat)
    EXPECT_THAT(problem_of({"a"}), StartsWith("[data] " + place("a", 3001)));
  options_.on_bad_row = OnBadRow::kDrop;
  const Dataset set = load({"a"});
  ASSERT_EQ(set.examples.size(), 3000u);
  for (size_t i = 0; i < 3000; ++i) ASSERT_EQ(set.examples[i].sequences[0].ids.size(), i % 300 + 3);
}

TEST_F(LoadDataset, ARefusedTemplateEndsTheRunThoughBadRowsAreDropped) {
  options_.on_bad_row = OnBadRow::kDrop;
  const Json turns = {{"prompt", {{{"role", "user"}, {"content", "q"}}}},
                      {"completion", {{{"role", "assistant"}, {"content", "a"}}}},
                      {"label", true}};
  folder_.write("a", single("p", "c", true) + turns.dump() + "\n");
  TextSource text = text_source(tokenizer_);
  text.render = nullptr;
  EXPECT_THROW(load_dataset({folder_ / "a"}, options_, text), Error);
}

// It asks when it reads a piece of a file, before each row of this thread's, and before what is done with all
// rows.
TEST_F(LoadDataset, IsLeftWhereverItAsks) {
  std::string rows;
  for (int i = 0; i < 3000; ++i) rows += pair(std::to_string(i), "a", "b");
  folder_.write("rows.jsonl", rows);
  int asked = 0;
  {
    const Interruptible never([&] { return ++asked < 0; });
    EXPECT_EQ(load({"rows.jsonl"}).examples.size(), 3000u);
  }
  EXPECT_GE(asked, 5);
  for (const int last : {1, 2, 3, 4, 5}) {
    int again = 0;
    const Interruptible early([&] { return ++again == last; });
    EXPECT_THROW(load({"rows.jsonl"}), Interrupted);
    EXPECT_EQ(again, last) << "asked again by who is to leave";
  }
}

TEST(WriteDroppedRows, WritesJsonLines) {
  const TemporaryFolder folder;
  write_dropped_rows(folder / "dropped.jsonl", {{"train", {{3, "a:4", "too \"long\""}, {5, "\xFF:1", "x"}}},
                                                {"dev", {{0, "b:1", "y"}}}});
  EXPECT_EQ(read_file(folder / "dropped.jsonl"),
            "{\"set\":\"train\",\"row\":3,\"where\":\"a:4\",\"reason\":\"too \\\"long\\\"\"}\n"
            "{\"set\":\"train\",\"row\":5,\"where\":\"\xEF\xBF\xBD:1\",\"reason\":\"x\"}\n"
            "{\"set\":\"dev\",\"row\":0,\"where\":\"b:1\",\"reason\":\"y\"}\n");
  write_dropped_rows(folder / "none.jsonl", {});
  EXPECT_EQ(read_file(folder / "none.jsonl"), "");
}

}  // namespace
}  // namespace ddro::data
