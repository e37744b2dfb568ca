#include "output_stream.h"

#include <iostream>
#include <utility>

#include "ddro/base/files.h"

namespace ddro::cli {

OutputStream::OutputStream(std::string path) : path_(std::move(path)) {}

std::ostream& OutputStream::stream() { return path_.empty() ? std::cout : buffer_; }

void OutputStream::finish() {
  if (path_.empty()) {
    std::cout.flush();
    if (!std::cout) throw save_error("[stdout] cannot be written");
  } else {
    write_file_atomic(path_, buffer_.str());
  }
}

}  // namespace ddro::cli
