// Records of a TensorBoard event file: length, masked CRC-32C of the length, an Event message, masked CRC-32C
// of the message. Event is TensorFlow's protobuf; the few fields that scalars need are written here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ddro::run {

// CRC-32C (Castagnoli polynomial, reflected), as of RFC 3720.
std::uint32_t crc32c(std::string_view bytes);

// A whole record around a serialized message.
std::string event_record(std::string_view message);

// The messages. `wall_time`: seconds since 1970.
std::string version_event(double wall_time);
// Readers drop what earlier files of the run hold of `first_step` and later.
std::string session_start_event(double wall_time, std::int64_t first_step);
// One value a tag; TensorBoard keeps scalars in single precision.
std::string scalars_event(double wall_time, std::int64_t step,
                          const std::vector<std::pair<std::string, float>>& scalars);

}  // namespace ddro::run
