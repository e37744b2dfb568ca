#include "ddro/train/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "ddro/base/files.h"

namespace ddro::train {
namespace {

struct KeptLines {
  std::uint64_t bytes = 0;
  std::int64_t last_evaluation = -1;
};

// The leading whole lines whose step is at most `last_step`.
KeptLines lines_to_keep(const std::filesystem::path& path, std::int64_t last_step) {
  KeptLines kept;
  if (last_step < 0 || !std::filesystem::exists(path)) return kept;
  const std::string content = read_file(path, ErrorKind::kModel);
  size_t begin = 0;
  while (true) {
    const size_t end = content.find('\n', begin);
    if (end == std::string::npos) break;
    const Json line =
        Json::parse(content.begin() + static_cast<std::ptrdiff_t>(begin),
                    content.begin() + static_cast<std::ptrdiff_t>(end), nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) break;
    const auto step = line["step"].get<std::int64_t>();
    if (step > last_step) break;
    if (line.value("kind", "") == "eval") kept.last_evaluation = step;
    begin = end + 1;
    kept.bytes = begin;
  }
  return kept;
}

}  // namespace

Json metrics_json(const losses::Metrics& metrics) {
  Json object = Json::object();
  for (const auto& [name, value] : metrics) {
    if (!std::isfinite(value)) {
      object[name] = nullptr;
    } else if (value == std::floor(value) && std::fabs(value) < 1e15) {
      object[name] = static_cast<std::int64_t>(value);
    } else {
      object[name] = value;
    }
  }
  return object;
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t last_step) : path_(path) {
  const KeptLines kept = lines_to_keep(path, last_step);
  last_evaluation_ = kept.last_evaluation;
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0 || ftruncate(descriptor_, static_cast<off_t>(kept.bytes)) != 0 ||
      lseek(descriptor_, 0, SEEK_END) < 0) {
    const std::string why = std::strerror(errno);
    if (descriptor_ >= 0) close(descriptor_);
    throw save_error("[" + path.string() + "] cannot be opened for writing: " + why);
  }
}

MetricsFile::~MetricsFile() { close(descriptor_); }

void MetricsFile::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  Json line = {{"kind", kind}, {"step", step}};
  line.update(metrics_json(metrics));
  const std::string text = line.dump() + "\n";
  // One write call a line: a reader never sees half of one unless the disk is full.
  ssize_t wrote = -1;
  do {
    wrote = ::write(descriptor_, text.data(), text.size());
  } while (wrote < 0 && errno == EINTR);
  if (wrote != static_cast<ssize_t>(text.size())) {
    throw save_error("[" + path_.string() +
                     "] cannot be written: " + (wrote < 0 ? std::strerror(errno) : "the disk is full"));
  }
  if (kind == "eval") last_evaluation_ = step;
}

void MetricsFile::sync() {
  if (fsync(descriptor_) != 0)
    throw save_error("[" + path_.string() + "] cannot be synced: " + std::strerror(errno));
}

}  // namespace ddro::train
