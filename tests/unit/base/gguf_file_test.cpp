#include "ddro/base/gguf_file.h"

#include <chrono>
#include <cstring>

#include "ddro/base/gguf_writer.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::message_of;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Number>
std::string raw(Number number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

std::string text(std::string_view text) { return raw<std::uint64_t>(text.size()) + std::string(text); }

std::string header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(tensors) + raw(keys);
}

// The numbers of the value types.
constexpr std::uint32_t kInt8 = 1, kUInt32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kText = 8, kList = 9,
                        kUInt64 = 10;
// And of tensor types.
constexpr std::uint32_t kF32 = 0, kF16 = 1, kQ8_0 = 8, kIq2 = 16;

std::string value(const std::string& key, std::uint32_t type, const std::string& bytes) {
  return text(key) + raw(type) + bytes;
}

std::string list(const std::string& key, std::uint32_t type, std::uint64_t length, const std::string& bytes) {
  return value(key, kList, raw(type) + raw(length) + bytes);
}

// An entry of the table; `shape` with its last dimension first, as in the file.
std::string tensor(const std::string& name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                   std::uint64_t offset) {
  std::string bytes = text(name) + raw(static_cast<std::uint32_t>(shape.size()));
  for (const std::uint64_t size : shape) bytes += raw(size);
  return bytes + raw(type) + raw(offset);
}

std::string with_data(std::string file, size_t data_bytes, size_t alignment = 32) {
  file.resize((file.size() + alignment - 1) / alignment * alignment);
  return file + std::string(data_bytes, '\x01');
}

const std::string kOneKey = value("general.architecture", kText, text("llama"));

std::string good_file() {
  return with_data(header(2, 6) + kOneKey + value("a", kUInt32, raw<std::uint32_t>(7)) +
                       value("b", kFloat32, raw(0.5F)) + value("c", kBool, raw<std::uint8_t>(1)) +
                       list("d", kText, 2, text("x") + text("yz")) +
                       list("e", kInt32, 2, raw<std::int32_t>(-3) + raw<std::int32_t>(4)) +
                       tensor("w", {3, 2}, kF32, 0) + tensor("q", {32, 2}, kQ8_0, 32),
                   32 + 68);
}

TEST(GgufFile, Reads) {
  const TemporaryFolder folder;
  const GgufFile file(folder.write("good.gguf", good_file()));
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_EQ(file.integer("a"), 7U);
  EXPECT_EQ(file.number("b"), 0.5);
  EXPECT_EQ(file.boolean("c"), true);
  EXPECT_THAT(file.texts("d"), ElementsAre("x", "yz"));
  EXPECT_THAT(file.numbers("e"), ElementsAre(-3, 4));
  EXPECT_EQ(file.integer("absent"), std::nullopt);
  EXPECT_TRUE(file.texts("absent").empty());
  ASSERT_EQ(file.tensors().size(), 2U);
  EXPECT_THAT(file.tensors()[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(file.tensors()[0].bytes.size(), 24U);
  ASSERT_NE(file.find_tensor("q"), nullptr);
  EXPECT_EQ(file.find_tensor("q")->bytes.size(), 68U);
  EXPECT_EQ(file.find_tensor("r"), nullptr);
}

TEST(GgufFile, ReadsAnotherAlignmentAndVersion2) {
  const TemporaryFolder folder;
  const std::string key = value("general.alignment", kUInt32, raw<std::uint32_t>(64));
  const GgufFile file(folder.write(
      "wide.gguf",
      with_data(header(2, 1, 2) + key + tensor("v", {2}, kF16, 0) + tensor("w", {2}, kF16, 64), 64 + 4, 64)));
  EXPECT_EQ(file.tensors()[1].bytes.size(), 4U);
  EXPECT_EQ(file.tensors()[1].bytes.data(),
            file.mapping()->bytes().data() + file.mapping()->bytes().size() - 4);
}

struct BadFile {
  std::string what;
  std::string content;
  std::string expected;  // in the message, besides the file's name
};

std::vector<BadFile> bad_metadata() {
  return {
      {"empty", "", "does not begin with GGUF"},
      {"safetensors", raw<std::uint64_t>(2) + "{}", "does not begin with GGUF"},
      {"magic alone", "GGUF", "the version of 4 bytes at byte 4 leads past the end"},
      {"version 1", header(0, 0, 1), "version 1"},
      {"big-endian", header(0, 0, 3U << 24U), "this file is big-endian"},
      {"cut counts", header(0, 0).substr(0, 20), "leads past the end"},
      {"many keys", header(0, UINT64_MAX), "the number of metadata keys is out of range"},
      {"many tensors", header(1U << 17U, 0), "the number of tensors is out of range"},
      {"keys that are not there", header(0, 3), "leads past the end"},
      {"endless key", header(0, 1) + raw(UINT64_MAX) + "k", "leads past the end"},
      {"empty key", header(0, 1) + value("", kBool, "\x01"), "a metadata key of 0 bytes"},
      {"key not UTF-8", header(0, 1) + value("\xff", kBool, "\x01"), "not one in UTF-8"},
      {"unknown type", header(0, 1) + value("k", 13, raw<std::uint32_t>(0)), "\"k\" has the unknown type 13"},
      {"endless text", header(0, 1) + value("k", kText, raw(UINT64_MAX)), "leads past the end"},
      {"list of lists", header(0, 1) + list("k", kList, 1, raw(kInt8) + raw<std::uint64_t>(1) + "x"),
       "is a list of lists"},
      {"long list", header(0, 1) + list("k", kUInt64, UINT64_MAX, ""), "more than the file holds"},
      {"list that wraps", header(0, 1) + list("k", kUInt64, std::uint64_t{1} << 61U, ""),
       "more than the file holds"},
      {"many texts", header(0, 1) + list("k", kText, std::uint64_t{1} << 60U, ""),
       "more than the file may hold"},
      {"cut list", header(0, 1) + list("k", kUInt32, 3, raw<std::uint64_t>(0)), "leads past the end"},
      {"key twice", header(0, 2) + kOneKey + kOneKey, "occurs twice"},
      {"alignment 0", header(0, 1) + value("general.alignment", kUInt32, raw<std::uint32_t>(0)),
       "expected a power of two"},
      {"alignment 48", header(0, 1) + value("general.alignment", kUInt32, raw<std::uint32_t>(48)),
       "expected a power of two"},
      {"alignment 2^31", header(0, 1) + value("general.alignment", kUInt32, raw<std::uint32_t>(1U << 31U)),
       "expected a power of two"},
      {"alignment a text", header(0, 1) + value("general.alignment", kText, text("32")), "is not a number"},
  };
}

std::vector<BadFile> bad_tensors() {
  const auto one = [](const std::string& entry, size_t bytes) {
    return with_data(header(1, 0) + entry, bytes);
  };
  const auto two = [](std::uint64_t a, std::uint64_t b) {
    return with_data(header(2, 0) + tensor("a", {16}, kF32, a) + tensor("b", {16}, kF32, b), 256);
  };
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 62U;
  return {
      {"cut table", header(1, 0) + text("w"), "leads past the end"},
      {"no dimension", one(tensor("w", {}, kF32, 0), 4), "has 0 dimensions"},
      {"five dimensions", one(tensor("w", {1, 1, 1, 1, 1}, kF32, 0), 4), "has 5 dimensions"},
      {"2^32 - 1 dimensions", header(1, 0) + text("w") + raw(UINT32_MAX), "dimensions, expected 1 to 4"},
      {"size 0", one(tensor("w", {0}, kF32, 0), 4), "not a size"},
      {"size 2^64 - 1", one(tensor("w", {UINT64_MAX}, kF32, 0), 4), "not a size"},
      {"overflow", one(tensor("w", {kHuge, 2}, kF32, 0), 4), "shape overflows"},
      {"overflow of the numbers alone", one(tensor("w", {kHuge, 2}, kQ8_0, 0), 4), "shape overflows"},
      {"unknown type", one(tensor("w", {256}, kIq2, 0), 256),
       "its type 16 is not supported; expected F32, F16"},
      {"half a block", one(tensor("w", {40}, kQ8_0, 0), 256), "no whole blocks of Q8_0"},
      {"data cut by a byte", one(tensor("w", {8}, kF32, 0), 31), "end past the 31 bytes of data"},
      {"no data", header(1, 0) + tensor("w", {8}, kF32, 0), "end past the 0 bytes of data"},
      {"offset past the end", one(tensor("w", {8}, kF32, 64), 32), "end past"},
      {"offset that wraps", one(tensor("w", {8}, kF32, UINT64_MAX - 31), 32), "end past"},
      {"off the alignment", one(tensor("w", {8}, kF32, 16), 64), "is off the alignment"},
      {"overlap", two(0, 32), "its data overlaps"},
      {"the same bytes", two(0, 0), "its data overlaps"},
      {"a tensor less than there are",
       with_data(header(1, 0) + tensor("a", {16}, kF32, 0) + tensor("b", {16}, kF32, 64), 128),
       "belong to no tensor; the table of 1 tensors is wrong"},
      {"data before the first tensor", one(tensor("w", {8}, kF32, 32), 64), "belong to no tensor"},
      {"data between tensors", two(0, 96), "belong to no tensor"},
      {"twice", with_data(header(2, 0) + tensor("a", {8}, kF32, 0) + tensor("a", {8}, kF32, 32), 64),
       "\"a\": occurs twice"},
  };
}

TEST(GgufFile, RefusesLies) {
  const TemporaryFolder folder;
  for (const auto& cases : {bad_metadata(), bad_tensors()}) {
    for (const BadFile& bad : cases) {
      SCOPED_TRACE(bad.what);
      const auto path = folder.write("bad.gguf", bad.content);
      const std::string message = message_of(ErrorKind::kModel, [&] { GgufFile{path}; });
      EXPECT_THAT(message, HasSubstr("bad.gguf"));
      EXPECT_THAT(message, HasSubstr(bad.expected));
    }
  }
}

// Every beginning of a good file, and every byte of it changed: an error or a file, at once.
TEST(GgufFile, SurvivesCutsAndChanges) {
  const TemporaryFolder folder;
  const std::string good = good_file();
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_THAT(message_of(ErrorKind::kModel, [&] { GgufFile{folder.write("cut.gguf", good.substr(0, i))}; }),
                HasSubstr("cut.gguf"));
    for (const char changed : {'\0', '\x7f', '\xff'}) {
      std::string file = good;
      file[i] = changed;
      try {
        GgufFile{folder.write("changed.gguf", file)};
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kModel) << error.what();
      }
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

std::string floats(const std::vector<float>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)};
}

TEST(GgufWriter, WritesWhatIsRead) {
  const TemporaryFolder folder;
  const std::vector<float> few = {1.5F, -2, 3}, many = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
  GgufWriter writer;
  writer.add_text("general.type", "adapter");
  writer.add_number("scale", 0.1F);
  writer.add_tensor("few", {3}, BlockType::kF32, [&] { return floats(few); });
  writer.add_tensor("many", {2, 5}, BlockType::kF32, [&] { return floats(many); });
  writer.add_tensor("blocks", {2, 32}, BlockType::kQ8_0, [] { return std::string(68, '\x01'); });
  writer.write(folder.path() / "written.gguf");
  const GgufFile file(folder.path() / "written.gguf");
  EXPECT_EQ(file.text("general.type"), "adapter");
  EXPECT_EQ(file.number("scale"), static_cast<double>(0.1F));
  ASSERT_EQ(file.tensors().size(), 3U);
  EXPECT_THAT(file.tensors()[1].shape, ElementsAre(2, 5));
  EXPECT_EQ(file.find_tensor("blocks")->bytes.size(), 68U);
  for (const auto& [name, numbers] : {std::pair("few", few), std::pair("many", many)}) {
    std::vector<float> read(numbers.size());
    unpack_blocks(BlockType::kF32, file.find_tensor(name)->bytes, read);
    EXPECT_EQ(read, numbers) << name;
  }
}

// A disk that gives back other bytes, or a check that throws: nothing is there under either name.
TEST(GgufWriter, LeavesNothingOfWhatDiffers) {
  const TemporaryFolder folder;
  GgufWriter writer;
  float asked = 0;
  writer.add_tensor("w", {1}, BlockType::kF32, [&] { return floats({asked++}); });
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { writer.write(folder / "out.gguf"); }),
              HasSubstr("tensor w is not what was written"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(GgufFile, RefusesValuesOfAnotherType) {
  const TemporaryFolder folder;
  const GgufFile file(folder.write("good.gguf", good_file()));
  const auto message = [](const auto& read) { return message_of(ErrorKind::kModel, read); };
  EXPECT_THAT(message([&] { file.integer("b"); }), HasSubstr("\"b\" is out of range; got 0.5"));
  EXPECT_THAT(message([&] { file.integer("d"); }), HasSubstr("\"d\" is a list; expected a number"));
  EXPECT_THAT(message([&] { file.number("general.architecture"); }), HasSubstr("is not a number"));
  EXPECT_THAT(message([&] { file.boolean("a"); }), HasSubstr("is not true or false"));
  EXPECT_THAT(message([&] { file.text("a"); }), HasSubstr("is not a text"));
  EXPECT_THAT(message([&] { file.numbers("d"); }), HasSubstr("is a list of texts"));
  EXPECT_THAT(message([&] { file.texts("e"); }), HasSubstr("is a list of numbers"));
  EXPECT_THAT(message([&] { file.texts("a"); }), HasSubstr("is no list"));
}

}  // namespace
}  // namespace ddro
