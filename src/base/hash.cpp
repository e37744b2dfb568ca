#include "ddro/base/hash.h"

#include <xxhash.h>

#include <cstdio>

#include "ddro/base/files.h"
#include "ddro/base/interruption.h"

namespace ddro {
namespace {

constexpr size_t kPieceBytes = size_t{16} << 20;  // which a slow disk gives in a fraction of a second

}  // namespace

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_128bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  for (; bytes.size() > kPieceBytes; bytes = bytes.subspan(kPieceBytes)) {
    leave_if_interrupted();
    XXH3_128bits_update(state_->xxh, bytes.data(), kPieceBytes);
  }
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

void Hasher::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Hash128 Hasher::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return {hash.high64, hash.low64};
}

std::string Hasher::hex() const {
  const Hash128 hash = digest();
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

Hash128 digest_bytes(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

std::string hash_bytes(std::span<const std::byte> bytes) {
  Hasher hasher;
  hasher.update(bytes);
  return hasher.hex();
}

std::string hash_text(std::string_view text) { return hash_bytes(std::as_bytes(std::span(text))); }

std::string hash_file(const std::filesystem::path& path, ErrorKind kind) {
  return hash_bytes(MappedFile(path, kind).bytes());
}

}  // namespace ddro
