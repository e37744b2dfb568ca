#include "ddro/report/page.h"

#include <gmock/gmock.h>

#include <regex>

#include "unit/report/run_of.h"

namespace ddro::report {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string data_of(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const size_t at = page.find(begin) + begin.size();
  return page.substr(at, page.find("</script>", at) - at);
}

TEST(Page, HoldsItsDataAndNothingFromElsewhere) {
  const std::string page = render_page({run_of("loss", {1, 0.5})});
  EXPECT_THAT(page, testing::StartsWith("<!doctype html>"));
  EXPECT_EQ(Json::parse(data_of(page))["panels"].size(), 1u);
  EXPECT_FALSE(std::regex_search(page, std::regex("(src|href)\\s*=|@import|url\\(|\\{\\{")));
  // The one address is the name of SVG's elements.
  for (size_t at = page.find("://"); at != std::string::npos; at = page.find("://", at + 1))
    EXPECT_EQ(page.substr(at, 17), "://www.w3.org/200");
}

TEST(Page, KeepsHostileTextInsideItsData) {
  const std::string hostile = "</script><script>alert(1)</script><!--\"'\\ \xE2\x80\xA8{{data}}";
  RunHistory run = run_of("loss", {1});
  run.name = hostile;
  run.eval.emplace_back(hostile, run.train);
  run.settings = {{hostile, hostile}};
  run.remarks = {hostile};
  run.samples = {{0, hostile, hostile}};
  const std::string page = render_page({run});
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  const Json data = Json::parse(data_of(page));
  EXPECT_EQ(data["runs"][0], hostile);
  EXPECT_EQ(data["remarks"][0][0], hostile);
  EXPECT_EQ(data["samples"]["prompts"][0]["cells"][0]["text"], hostile);
  EXPECT_EQ(data["panels"][0]["lines"][1]["set"], hostile);
}

TEST(Page, IsTheSameForTheSameRuns) {
  const std::vector<RunHistory> runs = {run_of("loss", {1, 2}, {3})};
  EXPECT_EQ(render_page(runs), render_page(runs));
}

TEST(Page, OfNoValuesIsAPageToo) {
  EXPECT_TRUE(Json::parse(data_of(render_page({RunHistory{}})))["panels"].empty());
}

}  // namespace
}  // namespace ddro::report
