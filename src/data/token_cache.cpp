#include "ddro/data/token_cache.h"

#include <algorithm>
#include <fstream>
#include <string_view>
#include <unordered_map>

#include "data/data_files.h"
#include "data/token_file.h"
#include "ddro/base/file_lock.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/interruption.h"
#include "ddro/base/json.h"
#include "ddro/base/log.h"
#include "ddro/base/nameless_file.h"

namespace ddro::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferBytes = size_t{1} << 20;

std::string where(const fs::path& path) { return "[" + printable(path.string(), 400) + "] "; }

// Together the files' sizes and the hash of their bytes say what each of them holds.
struct Contents {
  std::vector<std::uint64_t> sizes;
  std::string hash;
};

// Nothing where a file cannot be read: loading it says why.
std::optional<Contents> read_contents(const std::vector<std::string>& paths) {
  Contents contents;
  Hasher hasher;
  std::vector<char> buffer(kBufferBytes);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::uint64_t size = 0;
    while (file) {
      leave_if_interrupted();
      file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      const auto got = static_cast<size_t>(file.gcount());
      hasher.update(std::string_view(buffer.data(), got));
      size += got;
    }
    if (!file.eof()) return std::nullopt;
    contents.sizes.push_back(size);
  }
  contents.hash = hasher.hex();
  return contents;
}

std::uint64_t total_size(const std::vector<std::string>& paths) {
  std::uint64_t sum = 0;
  for (const std::string& path : paths) {
    std::error_code failure;
    const std::uint64_t size = fs::file_size(path, failure);
    if (!failure) sum += size;
  }
  return sum;
}

// Of each file, the first that looks like it in messages: rows are stored with that one.
std::vector<size_t> first_alike(const std::vector<std::string>& files) {
  std::unordered_map<std::string, size_t> first;
  std::vector<size_t> result;
  for (size_t i = 0; i < files.size(); ++i) result.push_back(first.emplace(files[i], i).first->second);
  return result;
}

std::optional<TokenCacheEntry> find_entry(const std::vector<std::string>& paths, const DataOptions& options,
                                          const text::ModelText& text, std::time_t now,
                                          const TokenCache& cache) {
  if (total_size(paths) < cache.min_bytes) return std::nullopt;
  const auto contents = read_contents(paths);
  if (!contents) return std::nullopt;
  TokenCacheEntry entry;
  entry.content_hash = contents->hash;
  for (const std::string& path : paths) entry.files.push_back(shown_path(path));
  const bool dated = text.chat_template && text.chat_template->uses_date();
  // The template's name and file stand in the reasons of dropped rows.
  const Json key = {
      {"program", cache.program},
      {"content_hash", contents->hash},
      {"file_bytes", contents->sizes},
      {"same_path_as", first_alike(entry.files)},
      {"tokenizer_hash", text.tokenizer_hash},
      {"template_hash", text.template_hash},
      {"template_name", text.chat_template ? printable(text.chat_template->name(), 400) : ""},
      {"chat_template", options.chat_template ? Json(printable(*options.chat_template, 400)) : Json()},
      {"template_variables", text.template_variables},
      {"chat_template_kwargs", options.chat_template_kwargs},
      {"date", dated ? Json(now) : Json()},
      {"end_ids", text.end_ids},
      {"layout", enum_name(options.layout)},
      {"columns", options.columns},
      {"unlabelled_is_preferred", options.unlabelled_is_preferred},
      {"max_length", options.max_length},
      {"on_overlength", static_cast<int>(options.on_overlength)},
      {"on_bad_row", static_cast<int>(options.on_bad_row)},
      {"parse_control_tokens", options.parse_control_tokens}};
  entry.key = key.dump();
  entry.path = cache.folder / ("set_" + hash_text(entry.key) + ".tokens");
  return entry;
}

std::optional<Dataset> read_token_cache(const TokenCacheEntry& entry, bool in_place) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(entry.path, ignored))) return std::nullopt;
  try {
    return read_token_file(entry.path, entry.key, entry.files, in_place);
  } catch (const Error& error) {
    log_warning(std::string(error.what()) + "; the data files are read instead");
    return std::nullopt;
  }
}

// The nearest to `folder` that there is: on the disk that has it, or is to have it.
fs::path existing(const fs::path& folder) {
  std::error_code ignored;
  fs::path at = fs::absolute(folder).lexically_normal();
  while (!fs::is_directory(at, ignored) && at.has_relative_path()) at = at.parent_path();
  return at;
}

}  // namespace

// The ids that were read, in a file that becomes the cache's when it gets a name.
class NamelessTokens {
 public:
  explicit NamelessTokens(const fs::path& folder)
      : file_(folder), writer_([this](std::string_view bytes) { file_.write(bytes); }) {}

  void add(std::span<const text::TokenId> ids) { writer_.add(ids); }
  void place_in(Dataset& set) {
    writer_.flush();
    place_ids(std::make_shared<const MappedFile>(file_.process_path(), ErrorKind::kSave), set);
  }
  // False where this disk has no way to name it.
  bool publish(const TokenCacheEntry& entry, const Dataset& set) {
    writer_.finish(entry.key, entry.files, set);
    return file_.publish(entry.path);
  }

 private:
  NamelessFile file_;
  TokenWriter writer_;
};

namespace {

// Error(kSave) where the disk does not take the tokens.
Dataset read_to_disk(const std::vector<std::string>& paths, const DataOptions& options,
                     const text::ModelText& text, std::time_t now, const TokenCache& cache,
                     TokenCacheEntry& entry) {
  const auto tokens = std::make_shared<NamelessTokens>(existing(cache.folder));
  Dataset set =
      load_dataset(paths, options, text, now, [&](std::span<const text::TokenId> ids) { tokens->add(ids); });
  tokens->place_in(set);
  entry.tokens = tokens;
  return set;
}

void write_copy(const TokenCacheEntry& entry, const Dataset& set) {
  require_free_space(entry.path.parent_path(),
                     static_cast<std::uint64_t>(set.num_tokens()) * sizeof(text::TokenId));
  write_file_atomic(entry.path, [&](DurableFile& file) {
    TokenWriter writer([&file](std::string_view bytes) { file.write(bytes); });
    for (size_t i = 0; i < set.examples.size(); ++i) {
      set.release_pages_before(i);
      for (const EncodedSequence& sequence : set.examples[i].sequences) writer.add(sequence.ids);
    }
    writer.finish(entry.key, entry.files, set);
  });
}

}  // namespace

LoadedSet load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                       const text::ModelText& text, std::time_t now, const TokenCache& cache) {
  const std::vector<std::string> paths = expand_patterns(files);
  const bool on_disk = total_size(paths) >= cache.on_disk_min_bytes;
  auto entry = find_entry(paths, options, text, now, cache);
  if (entry) {
    if (auto dataset = read_token_cache(*entry, on_disk)) {
      log_info("tokens read from " + printable(entry->path.string(), 400));
      return {std::move(*dataset), std::nullopt};
    }
    log_info("tokens not in " + printable(cache.folder.string(), 400) + "; the data files are read");
  }
  if (entry && on_disk) {
    try {
      Dataset dataset = read_to_disk(paths, options, text, now, cache, *entry);
      return {std::move(dataset), std::move(entry)};
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kSave) throw;
      log_warning(std::string(error.what()) +
                  "; the data files are read again, and the tokens stay in memory");
    }
  }
  return {load_dataset(paths, options, text, now), std::move(entry)};
}

void write_token_cache(const TokenCacheEntry& entry, const Dataset& dataset) {
  if (dataset.content_hash != entry.content_hash) {
    log_warning(where(entry.path) + "is not written: a data file changed while it was read");
    return;
  }
  try {
    make_folder(entry.path.parent_path());
    FileLock lock(entry.path.string() + ".lock");
    if (!lock.try_lock()) {
      log_info("tokens are being written to " + printable(entry.path.string(), 400) + " by " + lock.holder());
      return;
    }
    if (!entry.tokens || !entry.tokens->publish(entry, dataset)) write_copy(entry, dataset);
    log_info("tokens written to " + printable(entry.path.string(), 400));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kSave) throw;
    log_warning(std::string(error.what()) + "; the tokens are not kept, the next start reads the data files");
  }
}

}  // namespace ddro::data
