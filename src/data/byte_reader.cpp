#include "data/byte_reader.h"

#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "data/file_formats.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

constexpr size_t kInputBytes = size_t{1} << 18;

class FileBytes : public ByteReader {
 public:
  FileBytes(const std::string& path, Hasher& hasher)
      : hasher_(hasher), file_(std::fopen(path.c_str(), "rb")) {
    if (!file_) throw Unreadable{std::string("cannot be opened; ") + std::strerror(errno)};
  }

  size_t read(std::span<char> bytes) override {
    const size_t size = std::fread(bytes.data(), 1, bytes.size(), file_.get());
    if (std::ferror(file_.get())) throw Unreadable{std::string("cannot be read; ") + std::strerror(errno)};
    hasher_.update(std::as_bytes(bytes.first(size)));
    return size;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  Hasher& hasher_;
  std::unique_ptr<std::FILE, Close> file_;
};

// Several streams one behind the other, as gzip and zstd write them for parts of a file, are one text.
class Decompressor : public ByteReader {
 public:
  Decompressor(std::unique_ptr<ByteReader> file, const char* format)
      : file_(std::move(file)), format_(format), buffer_(kInputBytes) {}

  size_t read(std::span<char> bytes) final {
    while (true) {
      const size_t size = decompress(bytes);
      if (size > 0) return size;
      if (!input_.empty()) continue;
      input_ = std::span(buffer_).first(file_->read(buffer_));
      if (!input_.empty()) continue;
      if (!at_end_) throw Unreadable{std::string("the ") + format_ + " data are cut off"};
      return 0;
    }
  }

 protected:
  // Makes bytes of `input_` and of what it holds back, and takes what it used off `input_`: at least a byte
  // if there is one and nothing comes of it.
  virtual size_t decompress(std::span<char> bytes) = 0;
  [[noreturn]] void refuse(const char* problem) const {
    throw Unreadable{std::string("the ") + format_ + " data are damaged; " +
                     (problem != nullptr ? problem : "no reason given")};
  }

  std::span<char> input_;
  bool at_end_ = false;  // of a stream, with all it held written

 private:
  std::unique_ptr<ByteReader> file_;
  const char* format_;
  std::vector<char> buffer_;
};

class GzipBytes : public Decompressor {
 public:
  explicit GzipBytes(std::unique_ptr<ByteReader> file) : Decompressor(std::move(file), "gzip") {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    DDRO_CHECK(inflateInit2(&stream_, kGzipOnly) == Z_OK, "no memory for zlib");
  }
  ~GzipBytes() override { inflateEnd(&stream_); }
  GzipBytes(const GzipBytes&) = delete;
  GzipBytes& operator=(const GzipBytes&) = delete;

 protected:
  size_t decompress(std::span<char> bytes) override {
    if (at_end_ && input_.empty()) return 0;
    if (at_end_) inflateReset(&stream_);
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(input_.size());
    stream_.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_out = static_cast<uInt>(bytes.size());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    // Z_BUF_ERROR: there is nothing left to do without more input.
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) refuse(stream_.msg);
    at_end_ = status == Z_STREAM_END;
    input_ = input_.last(stream_.avail_in);
    return bytes.size() - stream_.avail_out;
  }

 private:
  z_stream stream_{};
};

class ZstdBytes : public Decompressor {
 public:
  explicit ZstdBytes(std::unique_ptr<ByteReader> file)
      : Decompressor(std::move(file), "zstd"), stream_(ZSTD_createDStream()) {
    DDRO_CHECK(stream_ != nullptr, "no memory for zstd");
  }

 protected:
  size_t decompress(std::span<char> bytes) override {
    if (at_end_ && input_.empty()) return 0;
    ZSTD_inBuffer in{input_.data(), input_.size(), 0};
    ZSTD_outBuffer out{bytes.data(), bytes.size(), 0};
    const size_t left = ZSTD_decompressStream(stream_.get(), &out, &in);
    if (ZSTD_isError(left)) refuse(ZSTD_getErrorName(left));
    at_end_ = left == 0;
    input_ = input_.subspan(in.pos);
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
};

}  // namespace

std::unique_ptr<ByteReader> open_bytes(const std::string& path, Hasher& hasher) {
  auto file = std::make_unique<FileBytes>(path, hasher);
  const FileKind kind = file_kind(path);
  if (kind == FileKind::kGzip) return std::make_unique<GzipBytes>(std::move(file));
  if (kind == FileKind::kZstd) return std::make_unique<ZstdBytes>(std::move(file));
  return file;
}

}  // namespace ddro::data
