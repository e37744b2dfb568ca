// A reference's log-probabilities on disk: one file a reference, one record a completion, found by its
// tokens. docs/reference_cache.md describes the format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ddro/base/file_lock.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/json.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

struct ReferenceRecord {
  Hash128 row;                   // hash of a sequence's ids and completion start
  double logp = 0;               // sum over the completion's tokens; finite
  std::uint32_t num_tokens = 0;  // of the completion, at least 1
};

inline constexpr const char* kReferenceCacheExtension = ".logp";

Hash128 row_hash(const EncodedSequence& sequence);

// The file in `folder` of the reference that `key` describes.
std::filesystem::path reference_cache_path(const std::filesystem::path& folder, const Json& key);

// The records of one file, read at construction; of several records of one row the first counts. Records that
// are damaged (checksum, number that is not finite) are counted and otherwise taken not to be there, as is a
// part of a record at the end.
class ReferenceCache {
 public:
  // Of the reference that `key` describes; a file that is not there holds nothing. Error(kModel) naming the
  // file: it is no cache, of another version, its header is damaged, or it is of another reference.
  ReferenceCache(const std::filesystem::path& folder, const Json& key);
  // Of whatever reference the file is of; Error(kModel) also when it is not there.
  explicit ReferenceCache(const std::filesystem::path& file);

  const std::filesystem::path& path() const { return path_; }
  const Json& key() const { return key_; }
  size_t size() const { return records_.size(); }               // rows that it has a record of
  std::uint64_t num_bytes() const { return num_bytes_; }        // of the file as it was read
  std::uint64_t num_damaged() const { return num_damaged_; }    // records
  std::uint64_t num_torn_bytes() const { return torn_bytes_; }  // behind the last whole record

  // log pi_ref of the sequence's completion. Error(kModel) when the record's number of tokens is another.
  std::optional<double> find(const EncodedSequence& sequence) const;

 private:
  friend class ReferenceCacheWriter;
  struct RowHasher {
    size_t operator()(const Hash128& hash) const { return hash.low; }
  };

  void read();
  bool add(const ReferenceRecord& record);  // false: has the row

  std::filesystem::path path_;
  Json key_;
  std::vector<ReferenceRecord> records_;  // in the file's order
  std::unordered_map<Hash128, size_t, RowHasher> index_;
  std::uint64_t num_bytes_ = 0;
  std::uint64_t num_damaged_ = 0;
  std::uint64_t torn_bytes_ = 0;
};

// The lock under which a cache's file is written, PATH.lock. Makes the folder.
std::filesystem::path reference_cache_lock(const std::filesystem::path& cache_file);

// Adds records to a cache and its file. The caller holds the lock and has read `cache` under it. The file
// never shrinks: readers may have it mapped.
class ReferenceCacheWriter {
 public:
  // Makes the file if there is none. One with damage is replaced by one without it, with a warning.
  // Error(kSave), also when the disk has no room for `num_expected` records.
  ReferenceCacheWriter(ReferenceCache& cache, std::uint64_t num_expected);

  // Writes, in one go, those whose rows the cache does not have, and returns their number. Error(kSave): the
  // file stays valid, `cache` is not to be used any more.
  size_t append(std::span<const ReferenceRecord> records);
  void sync() { file_->sync(); }

 private:
  ReferenceCache& cache_;
  std::optional<DurableFile> file_;
};

}  // namespace ddro::data
