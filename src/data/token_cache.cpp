#include "ddro/data/token_cache.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <fstream>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "data/data_files.h"
#include "ddro/base/file_lock.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/base/json.h"
#include "ddro/base/log.h"

namespace ddro::data {
namespace {

namespace fs = std::filesystem;

// File: magic, version, the key's text, the set (transfer), and the hash of all before.
constexpr std::string_view kMagic = "DDROTOK\n";
constexpr std::uint32_t kVersion = 2;
constexpr size_t kHashBytes = 16;
constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr size_t kPageBytes = size_t{16} << 20;  // of a cache file that are in memory at a time

std::string where(const fs::path& path) { return "[" + printable(path.string(), 400) + "] "; }

template <typename T>
concept Number = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// Writes through a buffer, and the hash of everything at the end.
class Writer {
 public:
  Writer(DurableFile& file, const std::vector<std::string>& files) : file_(file) {
    for (size_t i = 0; i < files.size(); ++i) file_index_.emplace(files[i], i);
  }

  template <Number T>
  void number(T value) {
    bytes(std::as_bytes(std::span(&value, 1)));
  }
  void text(std::string_view text) {
    number(std::uint64_t{text.size()});
    bytes(std::as_bytes(std::span(text)));
  }
  // "file:line" and the like, the file as a number.
  void place(const std::string& where) {
    const size_t colon = where.rfind(':');
    number(std::uint64_t{file_index_.at(where.substr(0, colon))});
    text(std::string_view(where).substr(colon + 1));
  }
  template <Number T>
  void numbers(const std::vector<T>& values) {
    number(std::uint64_t{values.size()});
    bytes(std::as_bytes(std::span(values)));
  }
  template <typename T>
  void list(const std::vector<T>& items, const auto& each) {
    number(std::uint64_t{items.size()});
    for (const T& item : items) each(item);
  }

  void finish() {
    flush();
    const Hash128 hash = hasher_.digest();
    number(hash.low);
    number(hash.high);
    flush();
  }

 private:
  void bytes(std::span<const std::byte> bytes) {
    buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (buffer_.size() >= kBufferBytes) flush();
  }
  void flush() {
    hasher_.update(buffer_);
    file_.write(buffer_);
    buffer_.clear();
  }

  DurableFile& file_;
  std::unordered_map<std::string, size_t> file_index_;  // of several paths that look alike, the first
  Hasher hasher_;
  std::string buffer_;
};

// Reads what a Writer wrote. The pages behind it are given back on the way.
class Reader {
 public:
  // The file's bytes without the hash.
  Reader(const MappedFile& file, const std::vector<std::string>& files)
      : file_(file), files_(files), rest_(file.bytes().first(file.bytes().size() - kHashBytes)) {}

  template <Number T>
  void number(T& value) {
    std::memcpy(&value, take(1, sizeof value), sizeof value);
  }
  void text(std::string& text) {
    const std::uint64_t size = word();
    text.assign(reinterpret_cast<const char*>(take(size, 1)), size);
  }
  void place(std::string& where) {
    const std::uint64_t file = word();
    std::string in_file;
    text(in_file);
    if (file >= files_.size()) refuse("names a file that the set does not have");
    where = files_[file] + ":" + in_file;
  }
  template <Number T>
  void numbers(std::vector<T>& values) {
    const std::uint64_t size = word();
    const std::byte* const bytes = take(size, sizeof(T));
    values.resize(size);
    if (size > 0) std::memcpy(values.data(), bytes, size * sizeof(T));
  }
  template <typename T>
  void list(std::vector<T>& items, const auto& each) {
    const std::uint64_t size = word();
    if (size > rest_.size()) refuse("ends within the set");
    items.resize(size);
    for (T& item : items) each(item);
  }

  bool at_end() const { return rest_.empty(); }
  [[noreturn]] void refuse(const std::string& problem) const {
    throw model_error(where(file_.path()) + problem);
  }

 private:
  std::uint64_t word() {
    std::uint64_t value = 0;
    number(value);
    return value;
  }
  const std::byte* take(std::uint64_t count, size_t size) {
    if (count > rest_.size() / size) refuse("ends within the set");
    if (taken_ > kPageBytes) {
      file_.release_pages();
      taken_ = 0;
    }
    const std::byte* const bytes = rest_.data();
    rest_ = rest_.subspan(count * size);
    taken_ += count * size;
    return bytes;
  }

  const MappedFile& file_;
  const std::vector<std::string>& files_;
  std::span<const std::byte> rest_;
  size_t taken_ = 0;  // since pages were last given back
};

// Hands every field of a set to an archive, for reading and for writing: `Set` is Dataset or const Dataset. A
// field that is added to one of these types does not compile before it is handed over here.
template <typename Archive, typename Set>
void transfer(Archive& archive, Set& set) {
  // The mixture is the run's, not the files'.
  auto& [examples, wheres, dropped, report, kind, content_hash, file_ends, mixture] = set;
  auto& [num_rows, boundary_merges, control_text, truncated, shorter_prompts, other_turns, duplicates,
         both_labels, equal, ignored] = report;
  archive.number(kind);
  archive.text(content_hash);
  archive.number(num_rows);
  archive.number(boundary_merges);
  archive.number(control_text);
  archive.number(truncated);
  archive.number(shorter_prompts);
  archive.number(other_turns);
  archive.number(duplicates);
  archive.number(both_labels);
  archive.number(equal);
  archive.list(ignored, [&archive](auto& field) { archive.text(field); });
  archive.list(examples, [&archive](auto& example) {
    auto& [row, weight, sequences] = example;
    archive.number(row);
    archive.number(weight);
    archive.list(sequences, [&archive](auto& sequence) {
      auto& [ids, completion_start, completion_class] = sequence;
      archive.numbers(ids);
      archive.number(completion_start);
      archive.number(completion_class);
    });
  });
  archive.list(wheres, [&archive](auto& place) { archive.place(place); });
  archive.list(dropped, [&archive](auto& dropped_row) {
    auto& [row, place, reason] = dropped_row;
    archive.number(row);
    archive.place(place);
    archive.text(reason);
  });
  archive.numbers(file_ends);
}

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
      {"max_length", options.max_length},
      {"on_overlength", static_cast<int>(options.on_overlength)},
      {"on_bad_row", static_cast<int>(options.on_bad_row)},
      {"parse_control_tokens", options.parse_control_tokens}};
  entry.key = key.dump();
  entry.path = cache.folder / ("set_" + hash_text(entry.key) + ".tokens");
  return entry;
}

// The stored hash is that of all before it.
bool is_whole(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  const size_t size = bytes.size() - kHashBytes;
  Hasher hasher;
  for (size_t at = 0; at < size; at += kPageBytes) {
    hasher.update(bytes.subspan(at, std::min(kPageBytes, size - at)));
    file.release_pages();
  }
  const Hash128 hash = hasher.digest();
  const std::array<std::uint64_t, 2> halves = {hash.low, hash.high};
  return std::memcmp(bytes.data() + size, halves.data(), kHashBytes) == 0;
}

// Error(kModel): it is no such file, damaged, or of another set.
Dataset read_set(const TokenCacheEntry& entry) {
  const MappedFile file(entry.path);
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < kMagic.size() + sizeof kVersion + kHashBytes ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    throw model_error(where(entry.path) + "is not a file of tokens");
  Reader reader(file, entry.files);
  std::array<char, kMagic.size()> magic;
  for (char& character : magic) reader.number(character);
  std::uint32_t version = 0;
  reader.number(version);
  if (version != kVersion) {
    reader.refuse("is of another version; got " + std::to_string(version) + ", expected " +
                  std::to_string(kVersion));
  }
  if (!is_whole(file)) reader.refuse("is damaged or cut off");
  std::string key;
  reader.text(key);
  if (key != entry.key) reader.refuse("is of another set");
  Dataset dataset;
  transfer(reader, dataset);
  if (!reader.at_end()) reader.refuse("goes on behind the set");
  return dataset;
}

std::optional<Dataset> read_token_cache(const TokenCacheEntry& entry) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(entry.path, ignored))) return std::nullopt;
  try {
    return read_set(entry);
  } catch (const Error& error) {
    log_warning(std::string(error.what()) + "; the data files are read instead");
    return std::nullopt;
  }
}

}  // namespace

LoadedSet load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                       const text::ModelText& text, std::time_t now, const TokenCache& cache) {
  const std::vector<std::string> paths = expand_patterns(files);
  auto entry = find_entry(paths, options, text, now, cache);
  if (entry) {
    if (auto dataset = read_token_cache(*entry)) {
      log_info("tokens read from " + printable(entry->path.string(), 400));
      return {std::move(*dataset), std::nullopt};
    }
    log_info("tokens not in " + printable(cache.folder.string(), 400) + "; the data files are read");
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
    require_free_space(entry.path.parent_path(),
                       static_cast<std::uint64_t>(dataset.num_tokens()) * sizeof(text::TokenId));
    write_file_atomic(entry.path, [&](DurableFile& file) {
      Writer writer(file, entry.files);
      for (const char character : kMagic) writer.number(character);
      writer.number(kVersion);
      writer.text(entry.key);
      transfer(writer, dataset);
      failpoint("token_cache.write");
      writer.finish();
    });
    log_info("tokens written to " + printable(entry.path.string(), 400));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kSave) throw;
    log_warning(std::string(error.what()) + "; the tokens are not kept, the next start reads the data files");
  }
}

}  // namespace ddro::data
