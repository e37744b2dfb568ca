#include "ddro/config/flat_settings.h"

#include <gmock/gmock.h>

#include "support/expect_error.h"

namespace ddro::config {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(FlatSettings, GiveEveryKeyItsDottedName) {
  const FlatSettings settings = read_flat_settings(
      "train: {seed: 42, output_dir: 'a b'}\nunknown:\n  deep: {key: null}\n  list: [x, [1, 2]]\n  none: "
      "{}\ntop: 1\n",
      "config.yaml");
  EXPECT_THAT(settings, ElementsAre(Pair("train.seed", "42"), Pair("train.output_dir", "a b"),
                                    Pair("unknown.deep.key", "null"), Pair("unknown.list", "[x, [1, 2]]"),
                                    Pair("unknown.none", "{}"), Pair("top", "1")));
}

TEST(FlatSettings, OfAnEmptyFileAreNone) {
  EXPECT_THAT(read_flat_settings("", "config.yaml"), ElementsAre());
}

TEST(FlatSettings, NameTheFileThatIsNotYaml) {
  EXPECT_THAT(ddro::test::message_of(ErrorKind::kInput, [] { read_flat_settings("a: [1\n", "config.yaml"); }),
              ::testing::HasSubstr("[config.yaml:"));
}

}  // namespace
}  // namespace ddro::config
