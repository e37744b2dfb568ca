// Whatever is wrong with its input, the program says so in one line, with the documented code, at once.
#include <gmock/gmock.h>

#include <cstdlib>

#include "bad_input.h"
#include "log_lines.h"

namespace ddro::test {
namespace {

constexpr const char* kErrorPrefix = "ddro-train: error: ";

// Of the program alone, whatever else the machine does meanwhile. Sanitizers need more:
// DDRO_TEST_TIME_FACTOR.
double allowed_seconds() {
  const char* factor = std::getenv("DDRO_TEST_TIME_FACTOR");
  return factor != nullptr ? std::atof(factor) : 1.0;
}

TEST_P(BadInputs, IsRefusedInOneLine) {
  const BadInput& bad = GetParam();
  Scene scene;
  Arguments command = bad.wrapper;
  command.push_back(ddro::test::test_environment("DDRO_TRAIN"));
  const Arguments arguments = bad.arrange(scene);
  command.insert(command.end(), arguments.begin(), arguments.end());
  const std::vector<std::string> before = scene.listing();

  const ddro::test::ProgramResult result = ddro::test::run_program(command, bad.input);

  EXPECT_EQ(result.exit_code, bad.exit_code) << result.err;
  const std::vector<std::string> lines = lines_beside_log(result.err);
  ASSERT_EQ(lines.size(), 1u) << result.err;
  EXPECT_THAT(result.err, ::testing::EndsWith(lines[0] + "\n"));
  EXPECT_THAT(lines[0], ::testing::StartsWith(kErrorPrefix));
  EXPECT_THAT(lines[0], ::testing::HasSubstr(scene.at(bad.phrase)));
  EXPECT_LT(lines[0].size(), 1500u);
  EXPECT_EQ(result.out, "");
  if (!bad.writes) {
    EXPECT_EQ(scene.listing(), before);
  }
  const double work = bad.writes ? 2 : 1;  // some of these train first
  EXPECT_LT(result.cpu_seconds, work * bad.cpu_seconds * allowed_seconds());
  // Less than 1 with the libraries of today; sanitizers take more memory, too.
  EXPECT_LT(result.peak_gigabytes, 1.5 * allowed_seconds());
  RecordProperty("milliseconds", static_cast<int>(result.seconds * 1000));
  RecordProperty("peak_megabytes", static_cast<int>(result.peak_gigabytes * 1000));
  RecordProperty("cpu_milliseconds", static_cast<int>(result.cpu_seconds * 1000));
}

}  // namespace
}  // namespace ddro::test
