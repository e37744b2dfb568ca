#include "ddro/data/reference_cache.h"

#include <cmath>
#include <cstring>

#include "ddro/base/interruption.h"
#include "ddro/base/log.h"

namespace ddro::data {
namespace {

namespace fs = std::filesystem;

// Header: magic, version, length of the key's text, that text, zeros, and the hash of all before.
constexpr std::string_view kMagic = "DDROREF\n";
constexpr std::uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 4096;
constexpr size_t kKeyOffset = 16;
constexpr size_t kHashOffset = kHeaderBytes - 16;

// Record: row hash (low, high), log-probability, number of tokens, low half of the hash of all before.
constexpr size_t kRecordBytes = 32;
constexpr size_t kChecksumOffset = 28;

std::string where(const fs::path& path) { return "[" + printable(path.string(), 400) + "] "; }

template <typename T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T get(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string encode_header(const Json& key) {
  const std::string text = key.dump();
  DDRO_CHECK(text.size() <= kHashOffset - kKeyOffset, "a reference's key is too long for the header");
  std::string header(kMagic);
  put(header, kVersion);
  put(header, static_cast<std::uint32_t>(text.size()));
  header += text;
  header.resize(kHashOffset);
  const Hash128 hash = digest_bytes(bytes_of(header));
  put(header, hash.low);
  put(header, hash.high);
  return header;
}

Json decode_header(std::span<const std::byte> file, const fs::path& path) {
  const char* const hint = "; remove the file, it is computed again";
  if (file.size() < kHeaderBytes || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0)
    throw model_error(where(path) + "is not a cache of reference log-probabilities" + hint);
  const auto version = get<std::uint32_t>(file.data() + kMagic.size());
  if (version != kVersion) {
    throw model_error(where(path) + "is a cache of another version; got " + std::to_string(version) +
                      ", expected " + std::to_string(kVersion) + hint);
  }
  const Hash128 stored = {get<std::uint64_t>(file.data() + kHashOffset + 8),
                          get<std::uint64_t>(file.data() + kHashOffset)};
  const auto length = get<std::uint32_t>(file.data() + kMagic.size() + 4);
  if (digest_bytes(file.first(kHashOffset)) != stored || length > kHashOffset - kKeyOffset)
    throw model_error(where(path) + "has a damaged header" + hint);
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kKeyOffset, length);
  return parse_json(text, printable(path.string(), 400), ErrorKind::kModel);
}

std::string encode(const ReferenceRecord& record) {
  std::string bytes;
  put(bytes, record.row.low);
  put(bytes, record.row.high);
  put(bytes, record.logp);
  put(bytes, record.num_tokens);
  put(bytes, static_cast<std::uint32_t>(digest_bytes(bytes_of(bytes)).low));
  return bytes;
}

std::optional<ReferenceRecord> decode(std::span<const std::byte> bytes) {
  const auto checksum = static_cast<std::uint32_t>(digest_bytes(bytes.first(kChecksumOffset)).low);
  if (checksum != get<std::uint32_t>(bytes.data() + kChecksumOffset)) return std::nullopt;
  ReferenceRecord record;
  record.row = {get<std::uint64_t>(bytes.data() + 8), get<std::uint64_t>(bytes.data())};
  record.logp = get<double>(bytes.data() + 16);
  record.num_tokens = get<std::uint32_t>(bytes.data() + 24);
  if (!std::isfinite(record.logp) || record.num_tokens == 0) return std::nullopt;
  return record;
}

std::string damage(const ReferenceCache& cache) {
  std::string text;
  if (cache.num_damaged() > 0) text = std::to_string(cache.num_damaged()) + " damaged records";
  if (cache.num_torn_bytes() > 0) {
    text += (text.empty() ? "" : " and ") + std::to_string(cache.num_torn_bytes()) +
            " bytes of a record cut short at its end";
  }
  return text;
}

}  // namespace

Hash128 row_hash(const EncodedSequence& sequence) {
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(&sequence.completion_start, 1)));
  hasher.update(std::as_bytes(std::span(sequence.ids)));
  return hasher.digest();
}

fs::path reference_cache_path(const fs::path& folder, const Json& key) {
  return folder / ("reference_" + hash_text(key.dump()) + kReferenceCacheExtension);
}

ReferenceCache::ReferenceCache(const fs::path& folder, const Json& key)
    : path_(reference_cache_path(folder, key)), key_(key) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(path_, ignored))) read();
  if (key_ != key) {
    throw model_error(where(path_) + "is of another reference; got " + printable(key_.dump(), 400) +
                      ", expected " + printable(key.dump(), 400) + "; remove the file, it is computed again");
  }
}

ReferenceCache::ReferenceCache(const fs::path& file) : path_(file) { read(); }

void ReferenceCache::read() {
  const MappedFile mapped(path_);
  const std::span<const std::byte> bytes = mapped.bytes();
  key_ = decode_header(bytes, path_);
  num_bytes_ = bytes.size();
  const size_t num_slots = (bytes.size() - kHeaderBytes) / kRecordBytes;
  torn_bytes_ = (bytes.size() - kHeaderBytes) % kRecordBytes;
  records_.reserve(num_slots);
  index_.reserve(num_slots);
  for (size_t i = 0; i < num_slots; ++i) {
    leave_if_interrupted();
    const auto record = decode(bytes.subspan(kHeaderBytes + i * kRecordBytes, kRecordBytes));
    if (record) {
      add(*record);
    } else {
      ++num_damaged_;
    }
  }
}

bool ReferenceCache::add(const ReferenceRecord& record) {
  const bool is_new = index_.emplace(record.row, records_.size()).second;
  if (is_new) records_.push_back(record);
  return is_new;
}

std::optional<double> ReferenceCache::find(const EncodedSequence& sequence) const {
  const auto found = index_.find(row_hash(sequence));
  if (found == index_.end()) return std::nullopt;
  const ReferenceRecord& record = records_[found->second];
  if (record.num_tokens != sequence.num_completion_tokens()) {
    throw model_error(where(path_) + "has a record of " + std::to_string(record.num_tokens) +
                      " tokens for a completion of " + std::to_string(sequence.num_completion_tokens()) +
                      "; remove the file, it is computed again");
  }
  return record.logp;
}

fs::path reference_cache_lock(const fs::path& cache_file) {
  make_folder(cache_file.parent_path());
  return cache_file.string() + ".lock";
}

ReferenceCacheWriter::ReferenceCacheWriter(ReferenceCache& cache, std::uint64_t num_expected)
    : cache_(cache) {
  const fs::path& path = cache.path_;
  require_free_space(path.parent_path(), num_expected * kRecordBytes + kHeaderBytes);
  const std::string damaged = damage(cache);
  if (!damaged.empty())
    log_warning(where(path) + "has " + damaged + "; they are left out and computed again where needed");
  if (cache.num_bytes_ == 0 || !damaged.empty()) {
    std::string content = encode_header(cache.key_);
    for (const ReferenceRecord& record : cache.records_) content += encode(record);
    write_file_atomic(path, content);
    cache.num_bytes_ = content.size();
    cache.num_damaged_ = cache.torn_bytes_ = 0;
  }
  file_.emplace(path, DurableFile::Mode::kAppend);
}

size_t ReferenceCacheWriter::append(std::span<const ReferenceRecord> records) {
  std::string bytes;
  for (const ReferenceRecord& record : records) {
    DDRO_CHECK(std::isfinite(record.logp) && record.num_tokens > 0, "a record that would not be read back");
    if (cache_.add(record)) bytes += encode(record);
  }
  failpoint("reference_cache.append");
  file_->write(bytes);
  failpoint("reference_cache.appended");
  cache_.num_bytes_ += bytes.size();
  return bytes.size() / kRecordBytes;
}

}  // namespace ddro::data
