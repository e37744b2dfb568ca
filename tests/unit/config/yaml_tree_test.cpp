#include "config/yaml_tree.h"

#include "support/expect_error.h"

namespace ddro::config {
namespace {

using ddro::test::message_of;
using ::testing::HasSubstr;

std::string refusal(const std::string& text) {
  return message_of(ErrorKind::kInput, [&] { parse_yaml(text, "f.yaml"); });
}

TEST(YamlTree, KeepsKindsQuotesAndLines) {
  const YamlNode root = parse_yaml("a: 1\nb:\n  - x\n  - 'y'\nc: {d: ~, e: \"\"}\n", "f.yaml");
  ASSERT_EQ(root.kind, YamlNode::Kind::kMapping);
  ASSERT_EQ(root.entries.size(), 3u);
  EXPECT_EQ(root.entries[0].key, "a");
  EXPECT_EQ(root.entries[0].value.text, "1");
  EXPECT_EQ(root.entries[1].line, 2);
  EXPECT_TRUE(root.entries[1].value.items[0].plain);
  EXPECT_FALSE(root.entries[1].value.items[1].plain);
  EXPECT_EQ(root.entries[1].value.items[1].line, 4);
  EXPECT_EQ(root.entries[2].value.entries[0].value.kind, YamlNode::Kind::kNull);
  EXPECT_EQ(root.entries[2].value.entries[1].value.kind, YamlNode::Kind::kScalar);
}

TEST(YamlTree, TakesAnEmptyDocumentForNull) {
  for (const char* text : {"", "\n\n", "# comment only\n", "---\n", "...\n"}) {
    EXPECT_EQ(parse_yaml(text, "f.yaml").kind, YamlNode::Kind::kNull) << text;
  }
}

TEST(YamlTree, RefusesWhatReadersDisagreeAbout) {
  EXPECT_THAT(refusal("a: 1\nb: 2\na: 3\n"),
              HasSubstr("[f.yaml:3] the key \"a\" occurs twice; first on line 1"));
  EXPECT_THAT(refusal("x: {a: 1, \"a\": 2}\n"), HasSubstr("occurs twice"));
  EXPECT_THAT(refusal("a: &x 1\nb: 2\n"), HasSubstr("[f.yaml:1] anchors"));
  EXPECT_THAT(refusal("a: 1\nb: *x\n"), HasSubstr("[f.yaml:2]"));
  EXPECT_THAT(refusal("a: !!python/object:os.system x\n"), HasSubstr("[f.yaml:1] tags are not supported"));
  EXPECT_THAT(refusal("a: !!int \"3\"\n"), HasSubstr("tags are not supported"));
  EXPECT_THAT(refusal("a: !!map {}\n"), HasSubstr("tags are not supported"));
  EXPECT_THAT(refusal("a: 1\n---\nb: 2\n"), HasSubstr("several documents"));
  EXPECT_THAT(refusal("? [a, b]\n: 1\n"), HasSubstr("a key must be a name"));
  EXPECT_THAT(refusal("~: 1\n"), HasSubstr("a key must be a name"));
}

TEST(YamlTree, RefusesBrokenText) {
  EXPECT_THAT(refusal("a: [1, 2\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(refusal("a: 1\n\tb: 2\n"), HasSubstr("[f.yaml:2]"));
  EXPECT_EQ(parse_yaml("a: 1\n...\n", "f.yaml").entries.size(), 1u);
  EXPECT_THAT(refusal("a: 'x\nb: 1\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(refusal("a: \"x\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(refusal("a: 1\nb: \xff\n"), HasSubstr("[f.yaml:2] not valid UTF-8"));
  // The parser takes U+0004 for the end of its input.
  EXPECT_THAT(refusal(std::string("a: 1\n\x04\nb: 2\n")),
              HasSubstr("[f.yaml:2] a control character; got \\x04"));
  EXPECT_THAT(refusal(std::string("a: 1\n\0b: 2\n", 11)), HasSubstr("[f.yaml:2] a control character"));
}

TEST(YamlTree, BoundsNestingAndExpansion) {
  EXPECT_THAT(refusal(std::string(100'000, '[')), HasSubstr("nested deeper"));
  std::string nested = "a";
  for (int depth = 0; depth < 40; ++depth) nested = "{k: " + nested + "}";
  EXPECT_THAT(refusal(nested), HasSubstr("nested deeper than 16 levels"));
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string name = "a" + std::to_string(i);
    const std::string previous = "*a" + std::to_string(i - 1);
    bomb += name + ": &" + name + " [" + previous + ", " + previous + "]\n";
  }
  EXPECT_THAT(refusal(bomb), HasSubstr("anchors"));
}

}  // namespace
}  // namespace ddro::config
