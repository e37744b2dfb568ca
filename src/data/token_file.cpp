#include "data/token_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "ddro/base/interruption.h"

namespace ddro::data {
namespace {

namespace fs = std::filesystem;

// File: magic, version, zeros up to kHeadBytes; ids; the key's text; the set (transfer); the number of ids;
// the hash of all before.
constexpr std::string_view kMagic = "DDROTOK\n";
constexpr std::uint32_t kVersion = 3;
constexpr size_t kHeadBytes = 16;
constexpr size_t kCountBytes = sizeof(std::uint64_t);
constexpr size_t kHashBytes = 16;
constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr size_t kPageBytes = size_t{16} << 20;  // of a file that are in memory at a time

template <typename T>
concept Number = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// Numbers, texts and lists into a writer.
class Archive {
 public:
  Archive(TokenWriter& writer, const std::vector<std::string>& files) : writer_(writer) {
    for (size_t i = 0; i < files.size(); ++i) file_index_.emplace(files[i], i);
  }

  template <Number T>
  void number(T value) {
    writer_.bytes(std::as_bytes(std::span(&value, 1)));
  }
  void text(std::string_view text) {
    number(std::uint64_t{text.size()});
    writer_.bytes(std::as_bytes(std::span(text)));
  }
  // "file:line" and the like, the file as a number.
  void place(const std::string& where) {
    const size_t colon = where.rfind(':');
    number(std::uint64_t{file_index_.at(where.substr(0, colon))});
    text(std::string_view(where).substr(colon + 1));
  }
  void places(const Places& places) {
    number(std::uint64_t{places.size()});
    for (size_t i = 0; i < places.size(); ++i) place(places[i]);
  }
  template <Number T>
  void numbers(const std::vector<T>& values) {
    number(std::uint64_t{values.size()});
    writer_.bytes(std::as_bytes(std::span(values)));
  }
  template <typename T>
  void list(const std::vector<T>& items, const auto& each) {
    number(std::uint64_t{items.size()});
    for (const T& item : items) each(item);
  }
  void num_ids(const TokenIds& ids) { number(std::uint64_t{ids.size()}); }

 private:
  TokenWriter& writer_;
  std::unordered_map<std::string, size_t> file_index_;  // of several paths that look alike, the first
};

// Reads what an Archive wrote.
class Reader {
 public:
  Reader(const fs::path& path, std::span<const std::byte> bytes, std::uint64_t num_ids,
         const std::vector<std::string>& files)
      : path_(path), files_(files), rest_(bytes), ids_left_(num_ids) {}

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
  void places(Places& places) {
    const std::uint64_t size = word();
    std::string one;
    for (std::uint64_t i = 0; i < size; ++i) {
      leave_if_interrupted();
      place(one);
      places.push_back(one);
    }
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
    for (T& item : items) {
      leave_if_interrupted();
      each(item);
    }
  }
  void num_ids(TokenIds& ids) {
    const std::uint64_t size = word();
    if (size > ids_left_) refuse("has fewer ids than its set");
    ids_left_ -= size;
    ids = TokenIds::elsewhere(size);
  }

  bool at_end() const { return rest_.empty() && ids_left_ == 0; }
  [[noreturn]] void refuse(const std::string& problem) const { refuse_file(path_, problem); }
  [[noreturn]] static void refuse_file(const fs::path& path, const std::string& problem) {
    throw model_error("[" + printable(path.string(), 400) + "] " + problem);
  }

 private:
  std::uint64_t word() {
    std::uint64_t value = 0;
    number(value);
    return value;
  }
  const std::byte* take(std::uint64_t count, size_t size) {
    if (count > rest_.size() / size) refuse("ends within the set");
    const std::byte* const bytes = rest_.data();
    rest_ = rest_.subspan(count * size);
    return bytes;
  }

  const fs::path& path_;
  const std::vector<std::string>& files_;
  std::span<const std::byte> rest_;
  std::uint64_t ids_left_;
};

// Hands every field of a set but the ids to an archive, for reading and for writing: `Set` is Dataset or
// const Dataset. A field that is added to one of these types does not compile before it is handed over here.
template <typename Archive, typename Set>
void transfer(Archive& archive, Set& set) {
  // The mixture is the run's, and the file the process's.
  auto& [examples, wheres, dropped, report, kind, content_hash, file_ends, mixture, file] = set;
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
      archive.num_ids(ids);
      archive.number(completion_start);
      archive.number(completion_class);
    });
  });
  archive.places(wheres);
  archive.list(dropped, [&archive](auto& dropped_row) {
    auto& [row, place, reason] = dropped_row;
    archive.number(row);
    archive.place(place);
    archive.text(reason);
  });
  archive.numbers(file_ends);
}

// The stored hash is that of all before it.
bool is_whole(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  const size_t size = bytes.size() - kHashBytes;
  Hasher hasher;
  for (size_t at = 0; at < size; at += kPageBytes) {
    leave_if_interrupted();
    hasher.update(bytes.subspan(at, std::min(kPageBytes, size - at)));
    file.release_pages();
  }
  const Hash128 hash = hasher.digest();
  const std::array<std::uint64_t, 2> halves = {hash.low, hash.high};
  return std::memcmp(bytes.data() + size, halves.data(), kHashBytes) == 0;
}

void check_head(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() < kHeadBytes + kCountBytes + kHashBytes ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    Reader::refuse_file(file.path(), "is not a file of tokens");
  std::uint32_t version = 0;
  std::memcpy(&version, bytes.data() + kMagic.size(), sizeof version);
  if (version != kVersion) {
    Reader::refuse_file(file.path(), "is of another version; got " + std::to_string(version) + ", expected " +
                                         std::to_string(kVersion));
  }
  if (!is_whole(file)) Reader::refuse_file(file.path(), "is damaged or cut off");
}

std::span<const text::TokenId> ids_of(const MappedFile& file, std::uint64_t num_ids) {
  return {reinterpret_cast<const text::TokenId*>(file.bytes().data() + kHeadBytes), num_ids};
}

std::uint64_t stored_num_ids(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  std::uint64_t num_ids = 0;
  std::memcpy(&num_ids, bytes.data() + bytes.size() - kHashBytes - kCountBytes, kCountBytes);
  const size_t most = (bytes.size() - kHeadBytes - kCountBytes - kHashBytes) / sizeof(text::TokenId);
  if (num_ids > most) Reader::refuse_file(file.path(), "ends within the set");
  return num_ids;
}

void copy_ids(const MappedFile& file, Dataset& set) {
  const text::TokenId* next = ids_of(file, 0).data();
  const text::TokenId* kept = next;  // from there on pages may be in memory
  for (EncodedExample& example : set.examples) {
    for (EncodedSequence& sequence : example.sequences) {
      sequence.ids = TokenIds(std::span(next, sequence.ids.size()));
      next += sequence.ids.size();
    }
    if (static_cast<size_t>(next - kept) * sizeof *next < kPageBytes) continue;
    leave_if_interrupted();
    file.release_pages();
    kept = next;
  }
}

}  // namespace

TokenWriter::TokenWriter(Write write) : write_(std::move(write)) {
  bytes(std::as_bytes(std::span(kMagic)));
  bytes(std::as_bytes(std::span(&kVersion, 1)));
  constexpr std::array<std::byte, kHeadBytes - kMagic.size() - sizeof kVersion> kZeros{};
  bytes(kZeros);
}

void TokenWriter::add(std::span<const text::TokenId> ids) {
  bytes(std::as_bytes(ids));
  num_ids_ += ids.size();
}

void TokenWriter::bytes(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (buffer_.size() >= kBufferBytes) flush();
}

void TokenWriter::flush() {
  leave_if_interrupted();
  hasher_.update(buffer_);
  write_(buffer_);
  buffer_.clear();
}

void TokenWriter::finish(std::string_view key, const std::vector<std::string>& files, const Dataset& set) {
  Archive archive(*this, files);
  archive.text(key);
  transfer(archive, set);
  archive.number(num_ids_);
  failpoint("token_cache.write");
  flush();
  const Hash128 hash = hasher_.digest();
  archive.number(hash.low);
  archive.number(hash.high);
  flush();
}

void place_ids(const std::shared_ptr<const MappedFile>& file, Dataset& set) {
  const text::TokenId* next = ids_of(*file, 0).data();
  for (EncodedExample& example : set.examples) {
    for (EncodedSequence& sequence : example.sequences) {
      sequence.ids = TokenIds(file, std::span(next, sequence.ids.size()));
      next += sequence.ids.size();
    }
  }
  set.file = file;
}

Dataset read_token_file(const fs::path& path, std::string_view key, const std::vector<std::string>& files,
                        bool in_place) {
  const auto file = std::make_shared<const MappedFile>(path);
  check_head(*file);
  const std::uint64_t num_ids = stored_num_ids(*file);
  const size_t begin = kHeadBytes + num_ids * sizeof(text::TokenId);
  Reader reader(path, file->bytes().subspan(begin, file->bytes().size() - begin - kCountBytes - kHashBytes),
                num_ids, files);
  std::string stored_key;
  reader.text(stored_key);
  if (stored_key != key) reader.refuse("is of another set");
  Dataset set;
  transfer(reader, set);
  if (!reader.at_end()) reader.refuse("goes on behind the set");
  if (in_place) {
    place_ids(file, set);
    set.release_pages();
  } else {
    copy_ids(*file, set);
  }
  return set;
}

}  // namespace ddro::data
