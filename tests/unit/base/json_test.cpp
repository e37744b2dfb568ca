#include "ddro/base/json.h"

#include "ddro/base/sorted_json.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::message_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(std::string_view text) {
  return message_of(ErrorKind::kModel, [&] { parse_json(text, "f.json", ErrorKind::kModel); });
}

TEST(ParseJson, KeepsOrderAndTypes) {
  const Json value =
      parse_json(R"({"b": 1, "a": [-2, 1.5e3, true, null, "\u00e9\ud83d\ude00"]})", "f", ErrorKind::kInput);
  EXPECT_EQ(value.begin().key(), "b");
  EXPECT_TRUE(value["b"].is_number_unsigned());
  EXPECT_TRUE(value["a"][0].is_number_integer());
  EXPECT_EQ(value["a"][1], 1500.0);
  EXPECT_EQ(value["a"][4], "\u00e9\U0001F600");
}

TEST(ParseJson, RefusesWhatIsNotStrictJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\": 1,}",
                           "{'a': 1}",
                           "{a: 1}",
                           "// c\n1",
                           "NaN",
                           "Infinity",
                           "01",
                           "+1",
                           ".5",
                           "1.",
                           "0x1",
                           "\"\t\"",
                           "\"\\x41\"",
                           "\"\\ud800\"",
                           "\"\\udc00\\ud800\"",
                           "1 2",
                           "{} x",
                           "tru",
                           "\"abc",
                           "[1 2]",
                           "{\"a\" 1}",
                           "1e400",
                           "-1e400"}) {
    EXPECT_THAT(refusal(text), StartsWith("[f.json] ")) << text;
  }
}

TEST(ParseJson, RefusesTwiceTheSameKeyAtAnyDepth) {
  EXPECT_THAT(refusal(R"({"a": 1, "b": 2, "a": 3})"), HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(refusal(R"([{"x": {"k": 1, "\u006b": 2}}])"), HasSubstr("\"k\" occurs twice"));
  EXPECT_NO_THROW(parse_json(R"([{"a": 1}, {"a": 2, "b": {"a": 3}}])", "f", ErrorKind::kInput));
}

TEST(ParseJson, RefusesTwiceTheSameKeyAmongMany) {
  constexpr int kMany = 40;
  for (int known = 0; known < kMany; ++known) {
    std::string text = "{";
    for (int i = 0; i < kMany; ++i) text += "\"k" + std::to_string(i) + "\": {\"k0\": 1}, ";
    const std::string again = "\"k" + std::to_string(known) + "\"";
    EXPECT_THAT(refusal(text + again + ": 1}"), HasSubstr(again + " occurs twice"));
    EXPECT_EQ(parse_json(text + "\"\": 1}", "f", ErrorKind::kInput).size(), kMany + 1);
  }
}

TEST(ParseJson, BoundsDepth) {
  EXPECT_THAT(refusal(std::string(100'000, '[')), HasSubstr("nested deeper than 64 levels"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("nested deeper than 64 levels"));
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']'), "f", ErrorKind::kInput));
  EXPECT_THAT(refusal(std::string(65, '[') + std::string(65, ']')), HasSubstr("nested deeper"));
}

TEST(ParseJson, RefusesBadBytes) {
  EXPECT_THAT(refusal("\"a\xff\""), HasSubstr("not valid UTF-8 at byte 2"));
  EXPECT_THAT(refusal(std::string_view("{\"a\":\0 1}", 9)), HasSubstr("a zero byte at byte 5"));
  EXPECT_THAT(refusal(std::string_view("{}\0smuggled", 11)), HasSubstr("a zero byte at byte 2"));
}

TEST(ParseJson, KeepsLargeIntegersExact) {
  EXPECT_EQ(parse_json("18446744073709551615", "f", ErrorKind::kInput).get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json("-9223372036854775808", "f", ErrorKind::kInput).get<std::int64_t>(), INT64_MIN);
  EXPECT_TRUE(parse_json("18446744073709551616", "f", ErrorKind::kInput).is_number_float());
}

TEST(ParseSortedJson, SortsKeysAndRefusesTheSame) {
  const SortedJson value = parse_sorted_json(R"({"b": 1, "a": {"d": [], "c": 2}})", "f", ErrorKind::kInput);
  EXPECT_EQ(value.dump(), R"({"a":{"c":2,"d":[]},"b":1})");
  const auto refused = [](std::string_view text) {
    return message_of(ErrorKind::kModel, [&] { parse_sorted_json(text, "f.json", ErrorKind::kModel); });
  };
  EXPECT_THAT(refused(R"({"a": {"b": 1, "c": 2, "b": 3}})"), HasSubstr("the key \"b\" occurs twice"));
  EXPECT_THAT(refused(std::string(65, '[') + std::string(65, ']')), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(refused("[1,]"), HasSubstr("not valid JSON at byte"));
}

// Not in the square of their number, which would be minutes.
TEST(ParseSortedJson, TakesLinearTimeForManyObjects) {
  std::string text = "[{}";
  for (int i = 1; i < 1'000'000; ++i) text += ",{}";
  EXPECT_EQ(parse_sorted_json(text + "]", "f", ErrorKind::kInput).size(), 1'000'000u);
}

TEST(ReadJsonFile, NamesTheFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("x.json", "{]").string();
  EXPECT_THAT(message_of(ErrorKind::kModel, [&] { read_json_file(path, ErrorKind::kModel); }),
              HasSubstr(path));
}

}  // namespace
}  // namespace ddro
