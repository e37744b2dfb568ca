#include "run/event_record.h"

#include <gtest/gtest.h>

#include <numeric>

#include "ddro/base/files.h"
#include "support/fixtures.h"

namespace ddro::run {
namespace {

constexpr double kWallTime = 1764000000.25;

std::string golden(const std::string& name) {
  return read_file(test::fixture("event_records/" + name + ".bin"));
}

// The examples of RFC 3720, B.4, and the usual check value.
TEST(EventRecord, Crc32cOfKnownTexts) {
  std::string ascending(32, '\0');
  std::iota(ascending.begin(), ascending.end(), '\0');
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(ascending), 0x46DD794Eu);
  EXPECT_EQ(crc32c(std::string(ascending.rbegin(), ascending.rend())), 0x113FDB5Cu);
}

TEST(EventRecord, BytesAreThoseOfTensorBoardsWriter) {
  EXPECT_EQ(event_record(version_event(kWallTime)), golden("version"));
  EXPECT_EQ(event_record(session_start_event(kWallTime, 301)), golden("start"));
  EXPECT_EQ(event_record(scalars_event(
                kWallTime, 70000, {{"train/loss", 0.625f}, {"eval/" + std::string(300, 'x'), -1.5e-7f}})),
            golden("scalars"));
  EXPECT_EQ(event_record(scalars_event(kWallTime, 1, {})), golden("empty"));
}

}  // namespace
}  // namespace ddro::run
