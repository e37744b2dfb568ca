// A file of the cache of tokens: the ids of all sequences one behind the other, to be used where they lie,
// then the rest of the set. docs/token_cache.md has the format.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

class TokenWriter {
 public:
  // `write` appends to an empty file.
  using Write = std::function<void(std::string_view)>;
  explicit TokenWriter(Write write);

  void add(std::span<const text::TokenId> ids);  // of the set's next sequence
  void flush();
  // When all ids are in: the rest of `set`, whose rows are from `files`, and the hash of everything.
  void finish(std::string_view key, const std::vector<std::string>& files, const Dataset& set);

  void bytes(std::span<const std::byte> bytes);

 private:
  Write write_;
  Hasher hasher_;
  std::string buffer_;
  std::uint64_t num_ids_ = 0;
};

// Gives the sequences of a set that has only the numbers of their ids those of `file`, which a writer
// flushed. Their pages are not kept in memory.
void place_ids(const std::shared_ptr<const MappedFile>& file, Dataset& set);

// The set of a file that was finished for `key`, with rows from `files`; ids stay `in_place`, or are copied
// into memory. Error(kModel): it is no such file, damaged, or of another set.
Dataset read_token_file(const std::filesystem::path& path, std::string_view key,
                        const std::vector<std::string>& files, bool in_place);

}  // namespace ddro::data
