// The file's layout is written out here a second time, by docs/token_cache.md.
#include "ddro/data/token_cache.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>
#include <xxhash.h>

#include <csignal>
#include <cstring>
#include <functional>

#include "ddro/base/file_lock.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/interruption.h"
#include "ddro/base/json.h"
#include "support/expect_error.h"
#include "support/in_child.h"
#include "support/same_set.h"
#include "support/temporary_folder.h"
#include "unit/data/fake_text.h"

namespace ddro::data {
namespace {

using ddro::test::ended_well;
using ddro::test::expect_same_set;
using ddro::test::in_child;
using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ddro::test::was_killed;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kTurns =
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";

text::ModelText turns_text(const std::string& source = kTurns, const std::string& name = "turns.jinja") {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.merges = {"ab"};
  text::ModelText text;
  text.tokenizer = std::make_unique<FakeTokenizer>(std::move(tokenizer));
  text.chat_template = std::make_unique<text::ChatTemplate>(source, name);
  text.end_ids = {kFirstControl};
  text.template_variables = Json::object();
  text.tokenizer_hash = "the tokenizer";
  text.template_hash = hash_text(source);
  return text;
}

// Weights, a file whose rows are all odd in some way, blank lines, and rows that are dropped.
const std::string kPairs =
    "\xEF\xBB\xBF{\"prompt\": \"xa\", \"chosen\": \"bc\", \"rejected\": \"d\", \"weight\": 0.1, \"id\": "
    "1}\r\n\n"
    "{\"prompt\": \"q\", \"chosen\": \"r\", \"rejected\": \"s\"}\n"
    "{\"prompt\": \"q\", \"chosen\": \"r\", \"rejected\": \"s\"}\n"
    "{\"prompt\": \"q\", \"chosen\": \"s\", \"rejected\": \"s\"}\n"
    "not JSON\n"
    "{\"prompt\": \"q\", \"chosen\": \"s\", \"rejected\": \"r <|end|>\"}\n"
    "{\"prompt\": [{\"role\": \"user\", \"content\": \"hello\"}],"
    " \"chosen\": [{\"role\": \"assistant\", \"content\": \"you\"}],"
    " \"rejected\": [{\"role\": \"assistant\", \"content\": \"" +
    std::string(60, 'z') + "\"}]}\n{}";
const std::string kSingles =
    "{\"prompt\": \"p\", \"completion\": \"c\", \"label\": true, \"weight\": 1e9}\n"
    "{\"prompt\": \"p\", \"completion\": \"c\", \"label\": false}\n";

class TokenCacheTest : public ::testing::Test {
 protected:
  TokenCacheTest() {
    options_.on_bad_row = OnBadRow::kDrop;
    options_.on_overlength = OnOverlength::kTruncate;
    options_.max_length = 50;
    pairs_ = folder_.write("pairs.jsonl", kPairs);
    singles_ = folder_.write("singles.jsonl", kSingles);
  }

  LoadedSet load(const std::vector<std::string>& files) const {
    return load_dataset(files, options_, text_, now_, cache_);
  }
  bool is_hit(const std::vector<std::string>& files) const { return !load(files).missing; }

  // Writes a set's file; its path.
  std::filesystem::path keep(const std::vector<std::string>& files) const {
    const LoadedSet set = load(files);
    if (!set.missing) throw std::runtime_error("the set is in the cache");
    write_token_cache(*set.missing, set.dataset);
    return set.missing->path;
  }

  static std::string stderr_of(const std::function<void()>& action) {
    ::testing::internal::CaptureStderr();
    action();
    return ::testing::internal::GetCapturedStderr();
  }

  // A start with a file that cannot be used: one line says why, and the set is that of a fresh load.
  void expect_refused(const std::filesystem::path& file, const std::string& content,
                      const std::string& reason) const {
    folder_.write(std::filesystem::relative(file, folder_.path()).string(), content);
    LoadedSet set;
    const std::string log = stderr_of([&] { set = load({pairs_}); });
    EXPECT_THAT(log, HasSubstr("[" + file.string() + "] " + reason + "; the data files are read instead\n"));
    EXPECT_TRUE(set.missing);
    expect_same_set(set.dataset, load_dataset({pairs_}, options_, text_, now_));
  }

  TemporaryFolder folder_;
  DataOptions options_;
  text::ModelText text_ = turns_text();
  std::time_t now_ = 0;
  TokenCache cache_{folder_.path() / "deep/cache", "this build", /*min_bytes=*/1};
  std::string pairs_;
  std::string singles_;
};

TEST_F(TokenCacheTest, AHitEqualsAFreshLoad) {
  const std::vector<std::vector<std::string>> sets = {
      {pairs_}, {singles_}, {pairs_, pairs_}, {folder_.path() / "p*.jsonl"}};
  for (const auto& files : sets) {
    const Dataset fresh = load_dataset(files, options_, text_, now_);
    const LoadedSet first = load(files);
    expect_same_set(first.dataset, fresh);
    if (first.missing) write_token_cache(*first.missing, first.dataset);
    const LoadedSet second = load(files);
    EXPECT_FALSE(second.missing);
    expect_same_set(second.dataset, fresh);
  }
  const Dataset set = load({pairs_}).dataset;
  EXPECT_EQ(set.dropped.size(), 2u);
  EXPECT_EQ(set.examples[0].weight, 0.1);
  EXPECT_GT(set.report.num_duplicates * set.report.num_both_labels * set.report.num_truncated *
                set.report.num_boundary_merges * set.report.num_control_text *
                set.report.num_chosen_equals_rejected,
            0);
  EXPECT_THAT(set.report.ignored_fields, ElementsAre("id"));
}

TEST_F(TokenCacheTest, LoadingWritesNothing) {
  EXPECT_TRUE(load({pairs_}).missing);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "deep"));
}

// Wherever the ids are, it is the same set, and the same file is written of it.
TEST_F(TokenCacheTest, TheTokensOfLargeSetsAreOnDisk) {
  TokenCache large = cache_;
  large.on_disk_min_bytes = 1;
  for (const auto& files : {std::vector{pairs_}, std::vector{singles_}}) {
    const std::filesystem::path path = keep(files);
    const std::string expected = read_file(path);
    std::filesystem::remove(path);
    const LoadedSet fresh = load_dataset(files, options_, text_, now_, large);
    ASSERT_TRUE(fresh.dataset.file && fresh.missing);
    EXPECT_FALSE(std::filesystem::exists(path));
    expect_same_set(fresh.dataset, load_dataset(files, options_, text_, now_));
    write_token_cache(*fresh.missing, fresh.dataset);
    EXPECT_EQ(read_file(path), expected);

    const LoadedSet read = load_dataset(files, options_, text_, now_, large);
    ASSERT_TRUE(read.dataset.file && !read.missing);
    expect_same_set(read.dataset, fresh.dataset);
    EXPECT_FALSE(load(files).dataset.file);
    expect_same_set(load(files).dataset, fresh.dataset);
  }
}

TEST_F(TokenCacheTest, TokensOnDiskNeedNoNameAndNoSet) {
  cache_.on_disk_min_bytes = 1;
  std::optional<LoadedSet> set = load({pairs_});
  write_token_cache(*set->missing, set->dataset);
  std::filesystem::remove(set->missing->path);
  set->dataset.release_pages();
  const std::vector<EncodedExample> examples = set->dataset.examples;
  set.reset();
  EXPECT_EQ(examples.back().sequences[0].ids,
            load_dataset({pairs_}, options_, text_, now_).examples.back().sequences[0].ids);
}

// To a process whose files may not grow a disk is full.
TEST_F(TokenCacheTest, WithoutRoomOnTheDiskTokensStayInMemory) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer lets no child of a process begin threads";
#endif
  cache_.on_disk_min_bytes = 1;
  std::string rows;
  for (int i = 0; i < 1000; ++i) rows += kSingles;
  const std::string file = folder_.write("many.jsonl", rows);
  const int status = in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit less_than_the_tokens = {8192, 8192};
    if (setrlimit(RLIMIT_FSIZE, &less_than_the_tokens) != 0) throw std::runtime_error("no limit");
    LoadedSet set;
    const std::string log = stderr_of([&] { set = load({file}); });
    EXPECT_THAT(log, AllOf(HasSubstr("[" + folder_.path().string() +
                                     "/(a file without a name)] cannot be written: File too large; "),
                           HasSubstr("; the data files are read again, and the tokens stay in memory\n")));
    EXPECT_FALSE(set.dataset.file);
    expect_same_set(set.dataset, load_dataset({file}, options_, text_, now_));
    if (HasFailure()) throw std::runtime_error("see above");
  });
  EXPECT_TRUE(ended_well(status));
  EXPECT_FALSE(std::filesystem::exists(cache_.folder));
}

TEST_F(TokenCacheTest, SmallSetsAreNotKept) {
  cache_.min_bytes = kPairs.size() + kSingles.size();
  EXPECT_FALSE(load({pairs_}).missing);
  EXPECT_FALSE(load({singles_}).missing);
  folder_.write("more.jsonl", kPairs.substr(0, kPairs.size() - 2) + std::string(kSingles.size(), '\n'));
  EXPECT_FALSE(load({folder_.path() / "more.jsonl"}).missing);
  EXPECT_TRUE(load({pairs_, folder_.path() / "more.jsonl"}).missing);
  EXPECT_EQ(TokenCache{}.min_bytes, 8u * 1024 * 1024);
}

TEST_F(TokenCacheTest, MovedFilesAreFoundAndNamedByTheirPathsOfToday) {
  keep({pairs_, pairs_});
  const std::string a = folder_.write("elsewhere/a.jsonl", kPairs);
  const std::string b = folder_.write("elsewhere/b.jsonl", kPairs);
  EXPECT_TRUE(is_hit({a, a}));
  expect_same_set(load({a, a}).dataset, load_dataset({a, a}, options_, text_, now_));
  // Which of two files a row came from was not to be seen in the set of one file twice.
  EXPECT_FALSE(is_hit({a, b}));
  keep({a, b});
  const std::string c = folder_.write("c.jsonl", kPairs);
  EXPECT_TRUE(is_hit({c, a}));
  expect_same_set(load({c, a}).dataset, load_dataset({c, a}, options_, text_, now_));
}

TEST_F(TokenCacheTest, EverythingThatDecidesASetIsInItsKey) {
  keep({pairs_});
  ASSERT_TRUE(is_hit({pairs_}));
  const auto expect_other = [this](const char* what) { EXPECT_FALSE(is_hit({pairs_})) << what; };

  const DataOptions options = options_;
  options_.max_length = 51;
  expect_other("max_length");
  options_ = options;
  options_.on_overlength = OnOverlength::kDrop;
  expect_other("on_overlength");
  options_ = options;
  options_.parse_control_tokens = true;
  expect_other("parse_control_tokens");
  options_ = options;
  options_.chat_template = "turns.jinja";
  expect_other("chat_template, which is named in reasons");
  options_ = options;
  options_.layout = Layout::kPairs;
  expect_other("layout");
  options_ = options;
  options_.columns = {{"weight", "importance"}};
  expect_other("columns");
  options_ = options;
  options_.unlabelled_is_preferred = true;
  expect_other("unlabelled_is_preferred");
  options_ = options;
  options_.chat_template_kwargs = {{"enable_thinking", false}};
  expect_other("chat_template_kwargs");
  options_ = options;

  text_ = turns_text(std::string(kTurns) + "{# #}");
  expect_other("the template");
  text_ = turns_text(kTurns, "other.jinja");
  expect_other("the template's name");
  text_ = turns_text();
  text_.tokenizer_hash = "another";
  expect_other("the tokenizer");
  text_ = turns_text();
  text_.end_ids.push_back(3);
  expect_other("end tokens");
  text_ = turns_text();
  text_.template_variables["bos_token"] = "<s>";
  expect_other("the template's variables");
  text_ = turns_text();
  cache_.program = "another build";
  expect_other("the program");
  cache_.program = "this build";

  ASSERT_TRUE(is_hit({pairs_}));
  folder_.write("pairs.jsonl", kPairs + "\n");
  expect_other("the content");
}

TEST_F(TokenCacheTest, BadRowsThatEndALoadAreNotHiddenByASetWithoutThem) {
  keep({pairs_});
  options_.on_bad_row = OnBadRow::kError;
  const auto plain = [this] { load_dataset({pairs_}, options_, text_, now_); };
  const auto cached = [this] { load({pairs_}); };
  EXPECT_EQ(message_of(ErrorKind::kInput, cached), message_of(ErrorKind::kInput, plain));
  EXPECT_THAT(message_of(ErrorKind::kInput, cached), HasSubstr("pairs.jsonl:6: not valid JSON"));
  EXPECT_THAT(message_of(ErrorKind::kInput, [this] { load({"absent.jsonl"}); }), HasSubstr("no such file"));
}

TEST_F(TokenCacheTest, WhereOneFileEndsAndTheNextBeginsMatters) {
  const std::string row = kSingles.substr(0, kSingles.find('\n') + 1);
  const std::string one = folder_.write("one", row);
  const std::string two = folder_.write("two", row + row);
  keep({one, two});
  EXPECT_TRUE(is_hit({one, two}));
  EXPECT_FALSE(is_hit({two, one}));
}

TEST_F(TokenCacheTest, TheDateCountsOnlyWhereATemplateShowsIt) {
  keep({pairs_});
  now_ = 86400;
  EXPECT_TRUE(is_hit({pairs_}));
  text_ = turns_text("{{ strftime_now('%d') }}" + std::string(kTurns));
  keep({pairs_});
  EXPECT_TRUE(is_hit({pairs_}));
  now_ += 86400;
  EXPECT_FALSE(is_hit({pairs_}));
}

TEST_F(TokenCacheTest, DamageIsNeverUsed) {
  const std::filesystem::path file = keep({pairs_});
  const std::string whole = read_file(file);
  for (size_t at = 12; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 16);
    expect_refused(file, damaged, "is damaged or cut off");
  }
  for (const size_t size : {whole.size() - 1, whole.size() / 2, size_t{40}})
    expect_refused(file, whole.substr(0, size), "is damaged or cut off");
  for (const std::string& foreign : {std::string(), whole.substr(0, 39), "DDROREF\n" + whole.substr(8)})
    expect_refused(file, foreign, "is not a file of tokens");
  std::string later = whole;
  later[8] = 2;
  expect_refused(file, later, "is of another version; got 2, expected 3");

  keep({pairs_});
  EXPECT_EQ(read_file(file), whole) << "the damaged file is replaced";
}

TEST_F(TokenCacheTest, AFolderInTheFilesPlaceIsNotRead) {
  const std::filesystem::path file = keep({pairs_});
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_THAT(stderr_of([this] { EXPECT_FALSE(is_hit({pairs_})); }), HasSubstr("is a folder"));
  EXPECT_THAT(stderr_of([this] { keep({pairs_}); }),
              HasSubstr("exists and is not a regular file; the tokens are not kept"));
}

// The content, sealed with its hash.
std::string sealed(std::string content) {
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  content.append(reinterpret_cast<const char*>(&hash.low64), 8);
  content.append(reinterpret_cast<const char*>(&hash.high64), 8);
  return content;
}

template <typename T>
std::string number(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string text_of(const std::string& text) { return number(std::uint64_t{text.size()}) + text; }

TEST_F(TokenCacheTest, AWholeFileOfSomethingElseIsNotUsed) {
  const std::filesystem::path file = keep({pairs_});
  const std::string whole = read_file(file);
  const std::string content = whole.substr(0, whole.size() - 16);
  EXPECT_EQ(sealed(content), whole);
  const std::string count = content.substr(content.size() - 8);
  const std::string set = content.substr(0, content.size() - 8);
  expect_refused(file, sealed(set + "x" + count), "goes on behind the set");
  expect_refused(file, sealed(set.substr(0, set.size() - 1) + count), "ends within the set");
  expect_refused(file, sealed(set + number(std::uint64_t{1} << 60)), "ends within the set");
  std::string longer = content;  // the first sequence: row, weight, number of sequences, its length
  const size_t first = longer.find(number(std::int64_t{0}) + number(0.1) + number(std::uint64_t{2}));
  longer.replace(first + 24, 8, number(std::uint64_t{1} << 63));
  expect_refused(file, sealed(longer), "has fewer ids than its set");
  std::string key = content;
  key[key.find("this build")] = 'T';
  expect_refused(file, sealed(key), "is of another set");
  std::string many = content;
  const size_t fields = many.find(text_of("id")) - 8;
  many.replace(fields, 8, number(std::uint64_t{1} << 60));
  expect_refused(file, sealed(many), "ends within the set");
  std::string place = content;  // the last dropped row: row, file, place in it, reason
  const size_t row = place.rfind(number(std::int64_t{7}));
  place.replace(row + 8, 8, number(std::uint64_t{1}));
  expect_refused(file, sealed(place), "names a file that the set does not have");
}

TEST_F(TokenCacheTest, IsWrittenAsDocumented) {
  const LoadedSet set = load({singles_});
  write_token_cache(*set.missing, set.dataset);
  EXPECT_EQ(set.missing->path, cache_.folder / ("set_" + hash_text(set.missing->key) + ".tokens"));
  const auto u64 = [](std::uint64_t value) { return number(value); };
  std::string expected = "DDROTOK\n" + number(std::uint32_t{3}) + number(std::uint32_t{0});
  for (int i = 0; i < 2; ++i)
    expected += number(std::int32_t{'p'}) + number(std::int32_t{'c'}) + number(kFirstControl);
  expected += text_of(set.missing->key);
  expected += number(std::int32_t{1});  // unpaired
  expected += text_of(hash_text(kSingles));
  for (const std::uint64_t count : {2, 0, 0, 0, 0, 0, 0, 1, 0}) expected += u64(count);  // the report
  expected += u64(0);                                                                    // no ignored fields
  expected += u64(2);                                                                    // examples
  expected += number(std::int64_t{0}) + number(1e9) + u64(1) + u64(3) + u64(1) + number(std::uint8_t{0});
  expected += number(std::int64_t{1}) + number(1.0) + u64(1) + u64(3) + u64(1) + number(std::uint8_t{1});
  expected += u64(2) + u64(0) + text_of("1") + u64(0) + text_of("2");  // places
  expected += u64(0);                                                  // dropped rows
  expected += u64(1) + u64(2);                                         // the files' ends
  expected += u64(6);                                                  // ids
  EXPECT_EQ(read_file(set.missing->path), sealed(expected));
}

TEST_F(TokenCacheTest, ACacheThatCannotBeWrittenIsAWarning) {
  cache_.folder = folder_.write("taken", "a file") / "cache";
  EXPECT_THAT(stderr_of([this] { keep({pairs_}); }),
              HasSubstr("; the tokens are not kept, the next start reads the data files"));
  EXPECT_FALSE(is_hit({pairs_}));
}

TEST_F(TokenCacheTest, FilesThatChangedWhileTheyWereReadAreNotKept) {
  const LoadedSet set = load({pairs_});
  const Dataset other = load({singles_}).dataset;
  EXPECT_THAT(stderr_of([&] { write_token_cache(*set.missing, other); }),
              HasSubstr("is not written: a data file changed while it was read"));
  EXPECT_FALSE(std::filesystem::exists(set.missing->path));
}

TEST_F(TokenCacheTest, OneProcessWrites) {
  const LoadedSet set = load({pairs_});
  std::filesystem::create_directories(cache_.folder);
  FileLock lock(set.missing->path.string() + ".lock");
  ASSERT_TRUE(lock.try_lock());
  EXPECT_THAT(stderr_of([&] { write_token_cache(*set.missing, set.dataset); }),
              HasSubstr("are being written to " + set.missing->path.string() + " by process "));
  EXPECT_FALSE(std::filesystem::exists(set.missing->path));
}

// Neither is taken for damage, nor does it leave a file or keep a later start from the cache.
TEST_F(TokenCacheTest, AnInterruptedStartLeavesAsItFound) {
  const auto left_at = [](int last, const std::function<void()>& action) {
    int asked = 0;
    const Interruptible early([&] { return ++asked == last; });
    try {
      action();
    } catch (const Interrupted&) {
      return true;
    }
    return false;
  };
  const LoadedSet set = load({pairs_});
  int times = 0;
  while (left_at(times + 1, [&] { write_token_cache(*set.missing, set.dataset); })) {
    EXPECT_FALSE(std::filesystem::exists(set.missing->path));
    EXPECT_FALSE(std::filesystem::exists(set.missing->path.string() + ".tmp"));
    ++times;
  }
  EXPECT_GT(times, 0) << "writing never asks";
  EXPECT_TRUE(std::filesystem::exists(set.missing->path));
  int reads = 0;
  const std::string log = stderr_of([&] {
    while (left_at(reads + 1, [&] { load({pairs_}); })) ++reads;
  });
  EXPECT_GT(reads, 5) << "reading asks too rarely";
  EXPECT_THAT(log, ::testing::Not(HasSubstr("the data files are read")));
  EXPECT_TRUE(is_hit({pairs_}));
}

TEST_F(TokenCacheTest, AKillWhileWritingLeavesNoFile) {
  const LoadedSet set = load({pairs_});
  EXPECT_TRUE(was_killed(in_child([&] {
    setenv("DDRO_FAILPOINT", "token_cache.write", 1);
    write_token_cache(*set.missing, set.dataset);
  })));
  EXPECT_FALSE(std::filesystem::exists(set.missing->path));
  keep({pairs_});
  EXPECT_TRUE(is_hit({pairs_}));
}

}  // namespace
}  // namespace ddro::data
