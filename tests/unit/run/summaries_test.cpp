#include "ddro/run/summaries.h"

#include <gmock/gmock.h>

namespace ddro::run {
namespace {

using testing::ElementsAre;

std::vector<data::DroppedRow> dropped(const std::vector<std::string>& reasons) {
  std::vector<data::DroppedRow> rows;
  for (const std::string& reason : reasons) {
    rows.emplace_back();
    rows.back().reason = reason;
  }
  return rows;
}

TEST(DroppedReasons, AreOneWhereOnlyTheirNumberDiffers) {
  const auto reasons = dropped_reasons(
      dropped({"12 tokens, more than 10", "not valid JSON at byte 3", "310 tokens, more than 10",
               "12 tokens, more than 10", "4 tokens in the prompt alone"}));
  EXPECT_THAT(reasons, ElementsAre("3 x 12 to 310 tokens, more than 10", "1 x 4 tokens in the prompt alone",
                                   "1 x not valid JSON at byte 3"));
  EXPECT_THAT(dropped_reasons({}), ElementsAre());
}

TEST(DroppedReasons, AreNotMoreThanAScreenHolds) {
  std::vector<std::string> reasons;
  for (char letter = 'a'; letter < 'z'; ++letter) reasons.emplace_back(3, letter);
  reasons.insert(reasons.end(), {"77777777777777777777", "zzz", "zzz"});
  const auto lines = dropped_reasons(dropped(reasons));
  ASSERT_EQ(lines.size(), 11U);
  EXPECT_EQ(lines.front(), "2 x zzz");
  EXPECT_EQ(lines[1], "1 x 77777777777777777777");
  EXPECT_EQ(lines.back(), "and for 17 other reasons");
}

}  // namespace
}  // namespace ddro::run
