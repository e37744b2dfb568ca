// The file's layout is written out here a second time, by docs/reference_cache.md.
#include "ddro/data/reference_cache.h"

#include <gmock/gmock.h>
#include <xxhash.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "support/expect_error.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"
#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

using ddro::test::ended_well;
using ddro::test::in_child;
using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kHeader = 4096;
constexpr size_t kRecord = 32;

const Json kKey = {{"weights_hash", "abc"}, {"dtype", "float32"}};

Dataset five_rows() {
  SetBuilder builder;
  for (std::int64_t i = 1; i <= 5; ++i) builder.single(2, i, CompletionClass::kChosen);
  return builder.build();
}

const EncodedSequence& row(const Dataset& set, size_t index) { return set.examples[index].sequences[0]; }

ReferenceRecord record(const Dataset& set, size_t index) {
  const EncodedSequence& sequence = row(set, index);
  return {row_hash(sequence), -1.5 * static_cast<double>(index + 1),
          static_cast<std::uint32_t>(sequence.num_completion_tokens())};
}

// A cache of the first `count` rows; its file.
std::filesystem::path write_cache(const std::filesystem::path& folder, const Dataset& set, size_t count) {
  ReferenceCache cache(folder, kKey);
  ReferenceCacheWriter writer(cache, count);
  for (size_t i = 0; i < count; ++i) writer.append(std::vector{record(set, i)});
  writer.sync();
  return cache.path();
}

void change_byte(const std::filesystem::path& path, size_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ 1));
}

template <typename T>
T at(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

TEST(ReferenceCache, IsWrittenAsDocumented) {
  const TemporaryFolder folder;
  const Dataset set = five_rows();
  const std::string bytes = read_file(write_cache(folder.path(), set, 2));
  ASSERT_EQ(bytes.size(), kHeader + 2 * kRecord);
  EXPECT_EQ(bytes.substr(0, 8), "DDROREF\n");
  EXPECT_EQ(at<std::uint32_t>(bytes, 8), 1u);
  const std::string key = kKey.dump();
  EXPECT_EQ(at<std::uint32_t>(bytes, 12), key.size());
  EXPECT_EQ(bytes.substr(16, key.size()), key);
  EXPECT_EQ(bytes.find_first_not_of('\0', 16 + key.size()), kHeader - 16);
  const XXH128_hash_t header = XXH3_128bits(bytes.data(), kHeader - 16);
  EXPECT_EQ(at<std::uint64_t>(bytes, kHeader - 16), header.low64);
  EXPECT_EQ(at<std::uint64_t>(bytes, kHeader - 8), header.high64);

  const std::string second = bytes.substr(kHeader + kRecord);
  std::string hashed(8, '\0');
  hashed[0] = 2;  // completion start, 64 bits; then the ids, 32 bits each
  for (const text::TokenId id : row(set, 1).ids) {
    const auto wide = static_cast<std::int32_t>(id);
    hashed.append(reinterpret_cast<const char*>(&wide), 4);
  }
  const XXH128_hash_t row_hash = XXH3_128bits(hashed.data(), hashed.size());
  EXPECT_EQ(at<std::uint64_t>(second, 0), row_hash.low64);
  EXPECT_EQ(at<std::uint64_t>(second, 8), row_hash.high64);
  EXPECT_EQ(at<double>(second, 16), -3.0);
  EXPECT_EQ(at<std::uint32_t>(second, 24), 2u);
  EXPECT_EQ(at<std::uint32_t>(second, 28), static_cast<std::uint32_t>(XXH3_128bits(second.data(), 28).low64));
}

TEST(ReferenceCache, FindsWhatWasWrittenInThisAndInLaterReadings) {
  const TemporaryFolder folder;
  const Dataset set = five_rows();
  ReferenceCache cache(folder.path() / "deep/er", kKey);
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "deep")) << "reading has written something";
  const FileLock lock(reference_cache_lock(cache.path()));
  ReferenceCacheWriter writer(cache, 3);
  EXPECT_EQ(writer.append(std::vector{record(set, 0), record(set, 1), record(set, 0)}), 2u);
  writer.append(std::vector{record(set, 2)});
  for (const ReferenceCache& reading : {cache, ReferenceCache(folder.path() / "deep/er", kKey)}) {
    EXPECT_EQ(reading.size(), 3u);
    EXPECT_EQ(reading.num_bytes(), kHeader + 3 * kRecord);
    EXPECT_EQ(reading.find(row(set, 1)), -3.0);
    EXPECT_EQ(reading.find(row(set, 3)), std::nullopt);
  }
  EXPECT_EQ(ReferenceCache(cache.path()).key(), kKey);
}

TEST(ReferenceCache, TellsRowsApartByTheBoundaryToo) {
  EncodedSequence sequence{{1, 2, 3, 4}, 2, CompletionClass::kChosen};
  const Hash128 hash = row_hash(sequence);
  sequence.completion_class = CompletionClass::kRejected;  // plays no part
  EXPECT_EQ(row_hash(sequence), hash);
  sequence.completion_start = 3;
  EXPECT_FALSE(row_hash(sequence) == hash);
}

TEST(ReferenceCache, OneFileAReferenceInAFolder) {
  const TemporaryFolder folder;
  Json other = kKey;
  other["dtype"] = "bfloat16";
  EXPECT_NE(reference_cache_path(folder.path(), kKey), reference_cache_path(folder.path(), other));
  write_cache(folder.path(), five_rows(), 2);
  EXPECT_EQ(ReferenceCache(folder.path(), other).size(), 0u);
}

class TornTail : public ::testing::TestWithParam<size_t> {};

TEST_P(TornTail, IsIgnoredByReadersAndLeftOutByTheNextWriter) {
  const TemporaryFolder folder;
  const Dataset set = five_rows();
  const auto path = write_cache(folder.path(), set, 3);
  const std::string whole = read_file(path);
  std::filesystem::resize_file(path, kHeader + 2 * kRecord + GetParam());

  ReferenceCache cache(folder.path(), kKey);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.num_torn_bytes(), GetParam());
  EXPECT_EQ(cache.num_damaged(), 0u);
  EXPECT_EQ(cache.find(row(set, 2)), std::nullopt);
  ReferenceCacheWriter writer(cache, 1);
  EXPECT_EQ(cache.num_torn_bytes(), 0u);
  writer.append(std::vector{record(set, 2)});
  EXPECT_EQ(read_file(path), whole);
}

INSTANTIATE_TEST_SUITE_P(All, TornTail, ::testing::Values(1, 16, 31));

// Every byte of a record decides whether it is used.
TEST(ReferenceCache, NeverUsesADamagedRecord) {
  const TemporaryFolder folder;
  const Dataset set = five_rows();
  const auto path = write_cache(folder.path(), set, 3);
  const std::string whole = read_file(path);
  for (size_t byte = 0; byte < kRecord; ++byte) {
    change_byte(path, kHeader + kRecord + byte);
    const ReferenceCache cache(path);
    EXPECT_EQ(cache.num_damaged(), 1u) << byte;
    EXPECT_EQ(cache.find(row(set, 1)), std::nullopt) << byte;
    EXPECT_EQ(cache.find(row(set, 2)), -4.5) << byte;
    change_byte(path, kHeader + kRecord + byte);
  }
  ASSERT_EQ(read_file(path), whole);
  change_byte(path, kHeader + kRecord + 20);
  {
    ReferenceCache cache(folder.path(), kKey);
    ReferenceCacheWriter writer(cache, 1);
    EXPECT_EQ(read_file(path).size(), kHeader + 2 * kRecord);
    writer.append(std::vector{record(set, 1)});
  }
  const ReferenceCache repaired(path);
  EXPECT_EQ(repaired.num_damaged(), 0u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(repaired.find(row(set, i)), record(set, i).logp);
}

// What a file system may leave of a tail that was not synced.
TEST(ReferenceCache, TakesZerosAndNumbersThatAreNotFiniteForDamage) {
  const TemporaryFolder folder;
  const auto path = write_cache(folder.path(), five_rows(), 1);
  std::string bytes = read_file(path) + std::string(kRecord, '\0');
  std::string nan(28, '\1');
  const double value = std::nan("");
  std::memcpy(nan.data() + 16, &value, sizeof value);
  const auto checksum = static_cast<std::uint32_t>(XXH3_128bits(nan.data(), nan.size()).low64);
  bytes += nan + std::string(reinterpret_cast<const char*>(&checksum), 4);
  write_file_atomic(path, bytes);
  const ReferenceCache cache(path);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache.num_damaged(), 2u);
}

TEST(ReferenceCache, RefusesFilesThatAreNotItsOwn) {
  const TemporaryFolder folder;
  const auto path = write_cache(folder.path(), five_rows(), 2);
  const std::string good = read_file(path);
  const auto refusal = [&](const std::string& content) {
    write_file_atomic(path, content);
    return message_of(ErrorKind::kModel, [&] { ReferenceCache(folder.path(), kKey); });
  };
  const std::string begin = "[" + path.string() + "] ";
  EXPECT_THAT(refusal(""), HasSubstr(begin + "is not a cache"));
  EXPECT_THAT(refusal(good.substr(0, kHeader - 1)), HasSubstr("is not a cache"));
  EXPECT_THAT(refusal("x" + good.substr(1)), HasSubstr("is not a cache"));
  std::string version = good;
  version[8] = 7;
  EXPECT_THAT(refusal(version), HasSubstr("another version; got 7, expected 1"));
  std::string header = good;
  header[30] = static_cast<char>(header[30] ^ 1);
  EXPECT_THAT(refusal(header), HasSubstr("damaged header; remove the file"));

  Json other = kKey;
  other["weights_hash"] = "xyz";
  std::filesystem::rename(path, reference_cache_path(folder.path(), other));
  write_file_atomic(reference_cache_path(folder.path(), other), good);
  EXPECT_THAT(message_of(ErrorKind::kModel, [&] { ReferenceCache(folder.path(), other); }),
              AllOf(HasSubstr("is of another reference"), HasSubstr("abc"), HasSubstr("xyz")));
  EXPECT_THAT(message_of(ErrorKind::kModel, [&] { ReferenceCache(folder.path() / "none"); }),
              HasSubstr("cannot be opened"));
}

TEST(ReferenceCache, RefusesARecordOfAnotherLength) {
  const TemporaryFolder folder;
  const Dataset set = five_rows();
  ReferenceCache cache(folder.path(), kKey);
  ReferenceCacheWriter writer(cache, 1);
  ReferenceRecord wrong = record(set, 3);
  wrong.num_tokens = 9;
  writer.append(std::vector{wrong});
  EXPECT_THAT(message_of(ErrorKind::kModel, [&] { static_cast<void>(cache.find(row(set, 3))); }),
              HasSubstr("a record of 9 tokens for a completion of 4"));
  wrong.logp = std::nan("");
  EXPECT_THROW(writer.append(std::vector{wrong}), Error);
}

TEST(ReferenceCache, IsLockedAgainstASecondWriter) {
  const TemporaryFolder folder;
  const auto lock_path = reference_cache_lock(reference_cache_path(folder.path() / "new", kKey));
  FileLock lock(lock_path);
  ASSERT_TRUE(lock.try_lock());
  EXPECT_TRUE(ended_well(in_child([&] {
    FileLock second(lock_path);
    if (second.try_lock()) throw std::runtime_error("both hold the lock");
    if (second.holder().find("process " + std::to_string(getppid())) == std::string::npos)
      throw std::runtime_error(second.holder());
  })));
}

TEST(ReferenceCache, SaysWhenItCannotBeWritten) {
  EXPECT_THAT(message_of(ErrorKind::kSave, [] { reference_cache_lock("/proc/none/x.logp"); }),
              HasSubstr("/proc/none"));
  const TemporaryFolder folder;
  ReferenceCache cache(folder.path(), kKey);
  EXPECT_THAT(
      message_of(ErrorKind::kSave, [&] { ReferenceCacheWriter writer(cache, std::uint64_t{1} << 55); }),
      HasSubstr("not enough space"));
  EXPECT_FALSE(std::filesystem::exists(cache.path()));
}

}  // namespace
}  // namespace ddro::data
