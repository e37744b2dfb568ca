#include "ddro/base/heartbeat.h"

#include <unistd.h>

#include <array>
#include <utility>

#include "ddro/base/files.h"
#include "ddro/base/json.h"

namespace ddro {
namespace {

constexpr std::uint64_t kMostBytes = 4096;

Beat beat_of(const Json& json) {
  return {.process = json.at("process").get<std::int64_t>(),
          .host = printable(json.at("host").get<std::string>()),
          .phase = parse_enum<Activity>("phase", json.at("phase").get<std::string>()),
          .step = json.at("step").get<std::int64_t>(),
          .time = json.at("time").get<double>()};
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Heartbeat::Heartbeat(std::filesystem::path path, std::chrono::milliseconds interval)
    : path_(std::move(path)), activity_(own_activity()) {
  ticker_.emplace(interval, [this] { beat(); });
}

Heartbeat::~Heartbeat() {
  ticker_.reset();
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void Heartbeat::beat() const {
  const Json json = {{"process", getpid()},
                     {"host", host_name()},
                     {"phase", enum_name(activity_.load())},
                     {"step", step_.load()},
                     {"time", seconds_since_1970()}};
  try {
    replace_file(path_, json.dump() + "\n");
  } catch (const Error&) {
  }
}

std::optional<Beat> read_beat(const std::filesystem::path& path) {
  try {
    return beat_of(
        parse_json(read_file(path, ErrorKind::kInput, kMostBytes), path.string(), ErrorKind::kInput));
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return std::nullopt;
}

}  // namespace ddro
