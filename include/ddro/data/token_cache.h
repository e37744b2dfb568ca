// Encoded sets on disk, so that a later start reads tokens instead of text: one file a set, found by what
// decides the set's tokens. docs/token_cache.md describes the format.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/data/data_options.h"
#include "ddro/data/dataset.h"
#include "ddro/text/model_text.h"

namespace ddro::data {

// Files of a set that have fewer bytes together are read faster than anyone notices.
inline constexpr std::uint64_t kTokenCacheMinBytes = std::uint64_t{8} << 20;
// The tokens of larger ones stay on disk while they are used: in the cache's file, or in one that has no name
// before write_token_cache gives it one.
inline constexpr std::uint64_t kTokensOnDiskMinBytes = std::uint64_t{256} << 20;

struct TokenCache {
  std::filesystem::path folder;
  std::string program;  // what encodes: another build may do it otherwise
  std::uint64_t min_bytes = kTokenCacheMinBytes;
  std::uint64_t on_disk_min_bytes = kTokensOnDiskMinBytes;
};

class NamelessTokens;

// Where the cache keeps a set.
struct TokenCacheEntry {
  std::filesystem::path path;
  std::string key;                         // everything that decides the set, as JSON; no paths of data files
  std::string content_hash;                // of those files, part of the key
  std::vector<std::string> files;          // their paths today, as they stand in messages
  std::shared_ptr<NamelessTokens> tokens;  // of a set that was read, where they are on disk already
};

struct LoadedSet {
  Dataset dataset;
  // Where to write_token_cache it: the set is large enough and is not in the cache.
  std::optional<TokenCacheEntry> missing;
};

// load_dataset by way of a cache, with the same result and errors; nothing is written that has a name. A
// cache file that is damaged, cut off or of something else is warned about and not used; where the disk does
// not take the tokens of a large set, a warning says so, and they are in memory.
LoadedSet load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                       const text::ModelText& text, std::time_t now, const TokenCache& cache);

// Writes the set that `entry` was missing for (atomic). Where that fails, or another process is at it, a line
// in the log says so: the cache is a convenience.
void write_token_cache(const TokenCacheEntry& entry, const Dataset& dataset);

}  // namespace ddro::data
