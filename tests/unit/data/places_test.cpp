#include "ddro/data/places.h"

#include <gmock/gmock.h>

namespace ddro::data {
namespace {

TEST(Places, AreTheTextsThatWereAdded) {
  const std::vector<std::string> texts = {"a.jsonl:1",
                                          "a.jsonl:2",
                                          "a.jsonl:999999999",
                                          "a.jsonl:1234567890123",
                                          "b.json: row 3",
                                          "b.json: row",
                                          "b.json:007",
                                          "a.jsonl:0",
                                          "",
                                          "17",
                                          "c:00"};
  Places places;
  for (const std::string& text : texts) places.push_back(text);
  EXPECT_EQ(places.all(), texts);
  EXPECT_EQ(places.size(), texts.size());
  EXPECT_EQ(places[3], texts[3]);
  EXPECT_THROW(places.at(texts.size()), std::out_of_range);
}

}  // namespace
}  // namespace ddro::data
