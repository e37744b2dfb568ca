#include "ddro/base/safetensors.h"

#include <cstring>
#include <ctime>

#include "ddro/base/hash.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::message_of;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

std::string with_header(const std::string& header, size_t data_bytes) {
  return with_length(header.size(), header + std::string(data_bytes, '\x01'));
}

// A file of one tensor "w" with these fields.
std::string tensor(const std::string& fields, size_t data_bytes = 8) {
  return with_header("{\"w\":{" + fields + "}}", data_bytes);
}

const std::string kGood = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

struct BadFile {
  std::string what;
  std::string content;
  std::string expected;  // in the message, besides the file's name
};

// A header of `count` tensors without numbers.
std::string many_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i) {
    header +=
        (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  return with_header(header + "}", 0);
}

std::vector<BadFile> broken_headers() {
  const std::string good_header = "{\"w\":{" + kGood + "}}";
  const std::string good = with_header(good_header, 8);
  return {
      {"empty", "", "too short"},
      {"seven bytes", std::string(7, '\0'), "too short"},
      {"length only", with_length(2, ""), "header length 2"},
      {"length 0", with_length(0, std::string(100, ' ')), "header length 0"},
      {"length 7 of a longer header", with_length(7, good_header + std::string(8, 'x')), "not valid JSON"},
      {"length one short", with_length(good_header.size() - 1, good_header + std::string(8, 'x')),
       "not valid JSON"},
      {"length one long", with_length(good_header.size() + 1, good_header + std::string(8, 'x')),
       "not valid JSON"},
      {"length past the end", with_length(1000, good_header), "header length 1000"},
      {"length above the cap", with_length(100'000'001, good_header), "header length 100000001"},
      {"length 2^63", with_length(std::uint64_t{1} << 63, good_header), "header length 9223372036854775808"},
      {"length 2^64 - 1", with_length(UINT64_MAX, good_header), "header length"},
      {"length 2^64 - 8", with_length(UINT64_MAX - 7, good_header), "header length"},
      {"truncated data", good.substr(0, good.size() - 1), "past the 7 bytes of data"},
      {"truncated header", good.substr(0, 20), "header length"},
      {"not UTF-8", with_header("{\"w\xff\":{" + kGood + "}}", 8), "not valid UTF-8"},
      {"leading space", with_header(" {\"w\":{" + kGood + "}}", 8), "does not begin with {"},
      {"byte order mark", with_header("\xef\xbb\xbf{\"w\":{" + kGood + "}}", 8), "does not begin with {"},
      {"a list", with_header("[1,2]", 0), "does not begin with {"},
      {"zero byte in the header", with_header(std::string("{}\0", 3), 0), "zero byte"},
      {"trailing text in the header", with_header("{} x", 0), "not valid JSON"},
      {"nested bomb", with_header("{\"w\":" + std::string(1'000'000, '['), 0), "nested deeper"},
      {"object bomb", with_header("{\"w\":{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}}", 0), "nested deeper"},
      {"a tensor too many", many_tensors((1 << 16) + 1),
       "its header has 65537 entries, expected at most 65536"},
      {"duplicate tensor", with_header("{\"w\":{" + kGood + "},\"w\":{" + kGood + "}}", 8),
       "\"w\" occurs twice"},
      {"duplicate by escape", with_header("{\"w\":{" + kGood + "},\"\\u0077\":{" + kGood + "}}", 8),
       "occurs twice"},
      {"duplicate field", tensor(kGood + R"(,"dtype":"F32")"), "\"dtype\" occurs twice"},
      {"metadata is a list", with_header(R"({"__metadata__":[],"w":{)" + kGood + "}}", 8), "__metadata__"},
      {"metadata holds a number", with_header(R"({"__metadata__":{"a":1},"w":{)" + kGood + "}}", 8),
       "__metadata__"},
      {"metadata holds an object", with_header(R"({"__metadata__":{"a":{}}})", 0), "__metadata__"},
      {"bytes behind", with_header(good_header, 9), "1 bytes follow the last tensor"},
      {"bytes without a tensor", with_header("{}", 4), "4 bytes follow"},
      {"a ZIP behind", good + "PK\x05\x06" + std::string(18, '\0'), "22 bytes follow"},
      {"a PDF behind", good + "%PDF-1.7", "8 bytes follow"},
      {"a ZIP in front", "PK\x03\x04" + std::string(26, '\0') + good, "header length"},
      {"an ELF in front",
       "\x7f"
       "ELF\x02\x01\x01" +
           std::string(57, '\0') + good,
       "header length"},
      {"a pickle", std::string("\x80\x02}q\x00X\x01\x00\x00\x00wq\x01.", 14), "header length"},
  };
}

std::vector<BadFile> broken_tensors() {
  const auto two = [](const std::string& a, const std::string& b, size_t bytes) {
    return with_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                       bytes);
  };
  return {
      {"overlap", two("[0,4]", "[2,6]", 6), "overlaps"},
      {"the same bytes twice", two("[0,4]", "[0,4]", 4), "overlaps"},
      {"hole", two("[0,4]", "[5,9]", 9), "a hole lies before"},
      {"hole in front", two("[1,5]", "[5,9]", 9), "a hole lies before"},
      {"reversed", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "ascending"},
      {"negative offset", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"), "ascending"},
      {"float offset", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8.0])"), "ascending"},
      {"exponent offset", tensor(R"("dtype":"U8","shape":[1000],"data_offsets":[0,1e3])", 1000), "ascending"},
      {"text offset", tensor(R"("dtype":"F32","shape":[2],"data_offsets":["0","8"])"), "ascending"},
      {"huge offset", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])"),
       "ascending"},
      {"larger than 64 bits", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551624])"),
       "ascending"},
      {"offset past the end", tensor(R"("dtype":"F32","shape":[4],"data_offsets":[0,16])"),
       "past the 8 bytes"},
      {"one offset", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8])"), "not two numbers"},
      {"three offsets", tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"), "not two numbers"},
      {"offsets missing", tensor(R"("dtype":"F32","shape":[2])"), "data_offsets is missing"},
      {"shape missing", tensor(R"("dtype":"F32","data_offsets":[0,8])"), "shape is missing"},
      {"dtype missing", tensor(R"("shape":[2],"data_offsets":[0,8])"), "dtype is missing"},
      {"shape too large", tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
       "8 bytes, shape and dtype need 12"},
      {"shape too small", tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"), "need 4"},
      {"shape overflows", tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
       "overflows"},
      {"shape wraps to 8", tensor(R"("dtype":"F32","shape":[2147483648,2147483648,2],"data_offsets":[0,8])"),
       "overflows"},
      {"overflow behind a zero",
       tensor(R"("dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0])", 0), "overflows"},
      {"negative dimension", tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "not a size"},
      {"fractional dimension", tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), "not a size"},
      {"boolean dimension", tensor(R"("dtype":"F32","shape":[true],"data_offsets":[0,8])"), "not a size"},
      {"dimension above 2^63", tensor(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,8])"),
       "not a size"},
      {"shape is a number", tensor(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"),
       "shape is missing or not an array"},
      {"many dimensions", tensor(R"("dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1])", 1),
       "more than 8"},
      {"unknown dtype", tensor(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"),
       "dtype F31 is not supported"},
      {"dtype in small letters", tensor(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])"), "dtype f32"},
      {"dtype is a number", tensor(R"("dtype":32,"shape":[2],"data_offsets":[0,8])"), "not a string"},
      {"unknown field", tensor(kGood + R"(,"stride":[1])"), "unknown field \"stride\""},
      {"entry is a list", with_header(R"({"w":[1]})", 0), "not an object"},
  };
}

// Seconds of this program, however busy the machine is. A million entries take half a minute with
// ThreadSanitizer.
#ifdef __SANITIZE_THREAD__
constexpr std::clock_t kLongest = 100;
#else
constexpr std::clock_t kLongest = 1;
#endif

void expect_refused(const BadFile& bad) {
  const TemporaryFolder folder;
  const auto path = folder.write("bad.safetensors", bad.content);
  const std::clock_t begin = std::clock();
  const std::string message = message_of(ErrorKind::kModel, [&] { const SafetensorsFile file(path); });
  EXPECT_LT(std::clock() - begin, kLongest * CLOCKS_PER_SEC) << bad.what;
  EXPECT_THAT(message, HasSubstr(path.string())) << bad.what;
  EXPECT_THAT(message, HasSubstr(bad.expected)) << bad.what;
}

TEST(Safetensors, RefusesBrokenHeaders) {
  for (const BadFile& bad : broken_headers()) expect_refused(bad);
}

TEST(Safetensors, RefusesBrokenTensorsByName) {
  for (BadFile bad : broken_tensors()) {
    expect_refused(bad);
    bad.expected = "tensor \"";
    expect_refused(bad);
  }
}

TEST(Safetensors, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(ErrorKind::kModel, [&] { SafetensorsFile file(folder.path()); }),
              HasSubstr("is a folder"));
  EXPECT_THAT(message_of(ErrorKind::kModel, [] { SafetensorsFile file("/dev/zero"); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(message_of(ErrorKind::kModel, [] { SafetensorsFile file("/nonexistent"); }),
              HasSubstr("cannot be opened"));
}

TEST(Safetensors, ReadsEdgesThatAreLegal) {
  const TemporaryFolder folder;
  EXPECT_TRUE(SafetensorsFile(folder.write("a", with_header("{}", 0))).tensors().empty());
  const SafetensorsFile padded(folder.write("b", with_header("{\"w\":{" + kGood + "}}   ", 8)));
  EXPECT_THAT(padded.tensors().at("w").shape, ElementsAre(2));
  const SafetensorsFile scalar(folder.write("c", tensor(R"("dtype":"F64","shape":[],"data_offsets":[0,8])")));
  EXPECT_TRUE(scalar.tensors().at("w").shape.empty());
  const SafetensorsFile empty(
      folder.write("d", tensor(R"("dtype":"F64","shape":[3,0],"data_offsets":[0,0])", 0)));
  EXPECT_TRUE(empty.tensors().at("w").bytes.empty());
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  std::vector<std::vector<std::byte>> contents;
  std::vector<NamedBytes> tensors;
  const DType dtypes[] = {DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt64,
                          DType::kInt32,   DType::kInt16,   DType::kInt8,    DType::kUInt8,    DType::kBool};
  for (const std::int64_t size : {0, 1, 31, 32, 33}) {
    for (const DType dtype : dtypes) {
      const size_t bytes = static_cast<size_t>(size) * dtype_size(dtype);
      contents.emplace_back(bytes, static_cast<std::byte>(contents.size()));
      tensors.push_back({"caf\u00e9/" + std::string(dtype_name(dtype)) + "_" + std::to_string(size),
                         dtype,
                         {size},
                         contents.back()});
    }
  }
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"note", "\"quoted\"\n"}};
  const auto path = folder.path() / "x.safetensors";
  const std::string hash = write_safetensors(path, tensors, metadata);
  EXPECT_EQ(hash, hash_file(path));
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata(), metadata);
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const NamedBytes& written : tensors) {
    const TensorView& view = file.tensors().at(written.name);
    EXPECT_EQ(view.dtype, written.dtype);
    EXPECT_EQ(view.shape, written.shape);
    ASSERT_EQ(view.bytes.size(), written.bytes.size());
    EXPECT_TRUE(std::equal(view.bytes.begin(), view.bytes.end(), written.bytes.begin())) << written.name;
  }
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { write_safetensors(path, tensors, metadata); }),
              HasSubstr("File exists"));
}

TEST(Safetensors, AsksForBytesWhenTheirTurnComes) {
  const TemporaryFolder folder;
  std::vector<std::string> asked;
  std::vector<std::byte> one_for_all(12);
  const auto source = [&](const std::string& name, DType dtype) {
    return BytesSource{name, dtype, {3}, [&asked, &one_for_all, name, dtype] {
                         asked.push_back(name);
                         std::fill(one_for_all.begin(), one_for_all.end(), static_cast<std::byte>(name[0]));
                         return std::span<const std::byte>(one_for_all).first(3 * dtype_size(dtype));
                       }};
  };
  const auto path = folder.path() / "x.safetensors";
  const std::string hash = write_safetensors(
      path, {source("c", DType::kInt16), source("b", DType::kFloat32), source("a", DType::kFloat32)}, {});
  EXPECT_EQ(asked, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(hash, hash_file(path));
  const SafetensorsFile file(path);
  for (const char* name : {"a", "b", "c"}) {
    for (const std::byte byte : file.tensors().at(name).bytes)
      EXPECT_EQ(byte, static_cast<std::byte>(name[0]));
  }
}

}  // namespace
}  // namespace ddro
