#include "run/event_record.h"

#include <array>
#include <bit>

namespace ddro::run {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82F63B78u : 0);
    table[byte] = remainder;
  }
  return table;
}

// So that the checksum of bytes that hold their own checksum is not a constant.
std::uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u; }

template <typename Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  bytes += static_cast<char>(value);
  return bytes;
}

enum class WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string key(std::uint64_t field, WireType type) {
  return varint(field << 3 | static_cast<std::uint64_t>(type));
}

// Zero is what a reader takes for a field that is not there.
std::string varint_field(std::uint64_t field, std::int64_t value) {
  return value == 0 ? "" : key(field, WireType::kVarint) + varint(static_cast<std::uint64_t>(value));
}

std::string bytes_field(std::uint64_t field, std::string_view bytes) {
  return key(field, WireType::kBytes) + varint(bytes.size()) + std::string(bytes);
}

std::string double_field(std::uint64_t field, double value) {
  return key(field, WireType::kFixed64) + little_endian(std::bit_cast<std::uint64_t>(value));
}

std::string float_field(std::uint64_t field, float value) {
  return key(field, WireType::kFixed32) + little_endian(std::bit_cast<std::uint32_t>(value));
}

// Fields of Event: wall_time 1, step 2, and one of file_version 3, summary 5, session_log 7.
std::string event(double wall_time, std::int64_t step, std::uint64_t content_field,
                  std::string_view content) {
  return double_field(1, wall_time) + varint_field(2, step) + bytes_field(content_field, content);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_crc_table();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

std::string event_record(std::string_view message) {
  const std::string length = little_endian(std::uint64_t{message.size()});
  return length + little_endian(masked_crc(length)) + std::string(message) +
         little_endian(masked_crc(message));
}

std::string version_event(double wall_time) { return event(wall_time, 0, 3, "brain.Event:2"); }

std::string session_start_event(double wall_time, std::int64_t first_step) {
  constexpr std::int64_t kStart = 1;  // SessionLog.status 1
  return event(wall_time, first_step, 7, varint_field(1, kStart));
}

std::string scalars_event(double wall_time, std::int64_t step,
                          const std::vector<std::pair<std::string, float>>& scalars) {
  std::string summary;  // Summary.value 1: tag 1, simple_value 2
  for (const auto& [tag, value] : scalars)
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, value));
  return event(wall_time, step, 5, summary);
}

}  // namespace ddro::run
