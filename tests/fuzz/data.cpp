#include <span>
#include <string>

#include "data/row_reader.h"
#include "data/token_file.h"
#include "ddro/base/hash.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/reference_cache.h"
#include "fuzz/targets.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

void read_each_row(const std::string& path) {
  Hasher hasher;
  const auto rows = data::open_rows(path, {}, hasher);
  for (data::RawRow row; rows->next(row);) {
    expect_input_errors([&] { data::parse_row(data::fields_of(row), row.where); });
    expect_input_errors([&] { data::parse_prompt(data::fields_of(row), row.where); });
  }
}

void append_hash(std::string& content, std::string_view hashed) {
  const Hash128 hash = digest_bytes(std::as_bytes(std::span(hashed)));
  const std::uint64_t halves[] = {hash.low, hash.high};
  content.append(reinterpret_cast<const char*>(halves), sizeof halves);
}

// docs/reference_cache.md has the format.
std::string resealed_reference(std::string file) {
  constexpr size_t kHeaderBytes = 4096, kHashBytes = 16, kRecordBytes = 32, kChecksumBytes = 4;
  std::string hash;
  const auto reseal = [&](size_t begin, size_t end, size_t bytes) {
    hash.clear();
    append_hash(hash, std::string_view(file).substr(begin, end - bytes - begin));
    file.replace(end - bytes, bytes, hash, 0, bytes);
  };
  if (file.size() >= kHeaderBytes) reseal(0, kHeaderBytes, kHashBytes);
  for (size_t begin = kHeaderBytes; begin + kRecordBytes <= file.size(); begin += kRecordBytes)
    reseal(begin, begin + kRecordBytes, kChecksumBytes);
  return file;
}

}  // namespace

// As a list or lines of JSON, and compressed in either way.
void read_rows(std::string_view input) {
  static const TemporaryFolder folder;
  for (const char* name : {"rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst"}) {
    const auto path = folder.write(name, input);
    expect_input_errors([&] { read_each_row(path); });
  }
}

void read_parquet(std::string_view input) {
  static const TemporaryFolder folder;
  const auto path = folder.write("rows.parquet", input);
  expect_input_errors([&] { read_each_row(path); });
}

void read_arrow(std::string_view input) {
  static const TemporaryFolder folder;
  const auto path = folder.write("rows.arrow", input);
  expect_input_errors([&] { read_each_row(path); });
}

// As it is, and with the hashes that its content has, without which the reader sees nothing of it.
void read_reference_cache(std::string_view input) {
  static const TemporaryFolder folder;
  for (const std::string& content : {std::string(input), resealed_reference(std::string(input))}) {
    const auto path = folder.write("reference.logp", content);
    expect_input_errors([&] { data::ReferenceCache cache(path); });
  }
}

// A file but for the hash at its end.
void read_token_cache(std::string_view input) {
  static const TemporaryFolder folder;
  std::string content(input);
  append_hash(content, input);
  const auto path = folder.write("set.tokens", content);
  for (const bool in_place : {false, true})
    expect_input_errors([&] { data::read_token_file(path, "key", {"a.jsonl", "b.jsonl"}, in_place); });
}

}  // namespace ddro::test
