#include "ddro/base/error.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "ddro/base/random.h"
#include "ddro/base/utf8.h"

namespace ddro {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("plain caf\u00e9 \u4e2d \U0001F600"), "plain caf\u00e9 \u4e2d \U0001F600");
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\x0Dd");
  EXPECT_EQ(printable(std::string("\x1b[31m\0\x7f", 7)), "\\x1B[31m\\x00\\x7F");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xC2\\x9B31m");  // the one-byte escape sequence of C1
  EXPECT_EQ(printable("\xc2\xa0"), "\xc2\xa0");
  EXPECT_EQ(printable("\xff"
                      "a\xe4\xb8"),
            "\\xFFa\\xE4\\xB8");
}

TEST(Printable, CutsLongTextBetweenCharacters) {
  EXPECT_EQ(printable(std::string(500, 'a')), std::string(120, 'a') + "...");
  EXPECT_EQ(printable("\u4e2d\u4e2d\u4e2d", 4), "\u4e2d\u4e2d...");
  EXPECT_EQ(printable("abc", 3), "abc");
}

TEST(Printable, GivesValidUtf8WithoutControlsForAnyBytes) {
  for (std::uint64_t round = 0; round < 2000; ++round) {
    std::string bytes;
    for (std::uint64_t i = 0; i < round % 40; ++i) bytes += static_cast<char>(random_bits(round, 1, i));
    const std::string shown = printable(bytes);
    EXPECT_EQ(find_invalid_utf8(shown), std::string::npos);
    for (const char c : shown) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7F);
  }
}

TEST(PrintableNumber, ReadsBack) {
  EXPECT_EQ(printable(0.1), "0.1");
  EXPECT_EQ(printable(1e-6), "1e-6");
  EXPECT_EQ(printable(1e22), "1e+22");
  EXPECT_EQ(printable(2.5e-300), "2.5e-300");
  EXPECT_EQ(printable(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(printable(-std::numeric_limits<double>::quiet_NaN()), "nan");
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const double number = std::ldexp(random_unit(1, 2, i), static_cast<int>(i % 200) - 100);
    EXPECT_EQ(std::stod(printable(number)), number);
  }
}

TEST(Error, CarriesItsExitCode) {
  EXPECT_EQ(input_error("x").exit_code(), 2);
  EXPECT_EQ(model_error("x").exit_code(), 3);
  EXPECT_EQ(save_error("x").exit_code(), 78);
  EXPECT_STREQ(option_error("a.b", "1", "2").what(), "[a.b] is out of range; got 1, expected 2");
  try {
    DDRO_CHECK(1 + 1 == 3, "arithmetic");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("check failed: 1 + 1 == 3; arithmetic"));
  }
}

}  // namespace
}  // namespace ddro
