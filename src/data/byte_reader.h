// The bytes of a file, decompressed where its name says that they are compressed.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "ddro/base/hash.h"

namespace ddro::data {

// What reading throws: why the bytes cannot be had. Whoever reads knows the place to put in front of it.
struct Unreadable {
  std::string problem;
};

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Writes the next bytes to the beginning of `bytes`, which is not empty; their number, 0 at the end.
  virtual size_t read(std::span<char> bytes) = 0;
};

// Every byte of the file as it lies on the disk goes through `hasher`, which must outlive the reader. Memory
// is bounded: zstd data that need a window above 128 MiB are refused. Throws Unreadable.
std::unique_ptr<ByteReader> open_bytes(const std::string& path, Hasher& hasher);

}  // namespace ddro::data
