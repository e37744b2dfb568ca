// Content hashes: XXH3 with 128 bits, written as 32 hexadecimal digits. They detect corruption and tell
// contents apart; they are no defence against someone who makes collisions on purpose.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Hash128&) const = default;
};

class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  // Of many bytes, some at a time, with leave_if_interrupted() (interruption.h) between them.
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  Hash128 digest() const;   // of all bytes so far; more may follow
  std::string hex() const;  // the same as text

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Hash128 digest_bytes(std::span<const std::byte> bytes);
std::string hash_bytes(std::span<const std::byte> bytes);
std::string hash_text(std::string_view text);
std::string hash_file(const std::filesystem::path& path, ErrorKind kind = ErrorKind::kInput);

}  // namespace ddro
