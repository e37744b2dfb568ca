#include "run/event_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ddro/base/heartbeat.h"
#include "run/event_record.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";

// Readers take the files of a folder in the order of their names: the time of the start, which is moved on
// where an earlier start, perhaps on a machine whose clock is ahead, has a later one.
fs::path next_path(const fs::path& folder) {
  auto number = static_cast<std::int64_t>(seconds_since_1970());
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    std::int64_t earlier = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), earlier);
    number = std::max(number, earlier + 1);
  }
  return folder / (std::string(kPrefix) + std::to_string(number));
}

std::string tag_of(const std::string& kind, const std::string& name) {
  constexpr std::string_view kEvalPrefix = "eval_";
  return kind + "/" + (name.starts_with(kEvalPrefix) ? name.substr(kEvalPrefix.size()) : name);
}

}  // namespace

EventFile::EventFile(const fs::path& folder, std::int64_t last_step) : file_(next_path(folder)) {
  const double now = seconds_since_1970();
  file_.write(event_record(version_event(now)) + event_record(session_start_event(now, last_step + 1)));
}

void EventFile::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  std::vector<std::pair<std::string, float>> scalars;
  for (const auto& [name, value] : metrics) {
    if (std::isfinite(value)) scalars.emplace_back(tag_of(kind, name), static_cast<float>(value));
  }
  // One write call a record: a reader, or a kill, finds it whole or absent.
  file_.write(event_record(scalars_event(seconds_since_1970(), step, scalars)));
}

}  // namespace ddro::run
