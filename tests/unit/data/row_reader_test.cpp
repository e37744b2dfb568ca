#include "data/row_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <stdexcept>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::data {
namespace {

using test::message_of;
using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> rows_of(const std::string& path, std::string* hash = nullptr) {
  Hasher hasher;
  const std::unique_ptr<RowReader> reader = open_rows(path, {}, hasher);
  std::vector<std::string> rows;
  for (RawRow row; reader->next(row);) {
    rows.push_back(row.where.substr(row.where.rfind(':') + 1) + " " + row.unusable.value_or(row.text) +
                   (row.unterminated ? " unterminated" : ""));
  }
  if (hash) *hash = hasher.hex();
  return rows;
}

// What is said behind "[data] PATH".
std::string problem_of(const std::string& path) {
  const std::string message = message_of(ErrorKind::kInput, [&] { rows_of(path); });
  const std::string prefix = "[data] " + path;
  EXPECT_EQ(message.substr(0, prefix.size()), prefix);
  return message.substr(prefix.size());
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("no deflate");
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);  // as the program zstd does
  const size_t size = ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size());
  ZSTD_freeCCtx(context);
  if (ZSTD_isError(size)) throw std::runtime_error("zstd");
  out.resize(size);
  return out;
}

// Longer than all buffers, and hard to compress.
std::string many_rows() {
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "{" + std::to_string(i * 2654435761u) + "}\n";
  return text;
}

TEST(Lines, SkipsMarksEndingsAndBlankLines) {
  const TemporaryFolder folder;
  EXPECT_THAT(rows_of(folder.write("a", "\xEF\xBB\xBF{1}\r\n\r\n \t\n{2}\n\n{3}")),
              ElementsAre("1 {1}\r", "4 {2}", "6 {3} unterminated"));
  EXPECT_THAT(rows_of(folder.write("b", "")), IsEmpty());
  EXPECT_THAT(rows_of(folder.write("c", "\n\n\n")), IsEmpty());
}

TEST(Lines, HashesEveryByteAcrossBuffers) {
  const TemporaryFolder folder;
  const std::string text = many_rows();
  std::string hash;
  const std::vector<std::string> rows = rows_of(folder.write("a", text), &hash);
  ASSERT_EQ(rows.size(), 300000u);
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i],
              std::to_string(i + 1) + " {" + std::to_string(static_cast<unsigned>(i) * 2654435761u) + "}");
  }
  EXPECT_EQ(hash, hash_text(text));
}

TEST(Lines, LeaveOutOneAboveTheLimitAndGoOn) {
  const TemporaryFolder folder;
  Hasher hasher;
  const auto reader = open_rows(folder.write("a", std::string(kMaxRowBytes, 'x') + "\n" +
                                                      std::string(kMaxRowBytes + 1, ' ') + "\n{}\n"),
                                {}, hasher);
  RawRow row;
  ASSERT_TRUE(reader->next(row));
  EXPECT_FALSE(row.unusable);
  EXPECT_EQ(row.text.size(), kMaxRowBytes);
  ASSERT_TRUE(reader->next(row));
  EXPECT_EQ(row.unusable, "the row has more than 64 MB");
  EXPECT_TRUE(row.text.empty());
  ASSERT_TRUE(reader->next(row));
  EXPECT_EQ(row.text, "{}");
  EXPECT_FALSE(row.unusable);
  EXPECT_FALSE(reader->next(row));
}

TEST(Lines, RefuseWhatCannotBeRead) {
  const TemporaryFolder folder;
  EXPECT_EQ(problem_of(folder / "missing"), ": cannot be opened; No such file or directory");
  EXPECT_EQ(problem_of(folder / ""), ": cannot be read; Is a directory");
}

TEST(Items, AreThoseOfTheListWhateverStandsInThem) {
  const TemporaryFolder folder;
  EXPECT_THAT(rows_of(folder.write(
                  "a", "\xEF\xBB\xBF \n[ {\"a\": \"],[{\\\"\\\\\"}\n, [1, {\"b\": []}],2 ,\"x,\"]\n ")),
              ElementsAre(" row 1 {\"a\": \"],[{\\\"\\\\\"}\n", " row 2  [1, {\"b\": []}]", " row 3 2 ",
                          " row 4 \"x,\""));
  EXPECT_THAT(rows_of(folder.write("b", "[]")), IsEmpty());
  EXPECT_THAT(rows_of(folder.write("c", " [ \n ] \n")), IsEmpty());
}

TEST(Items, AreFoundAcrossBuffers) {
  const TemporaryFolder folder;
  std::string text = "[";
  for (int i = 0; i < 150000; ++i)
    text += (i > 0 ? ",\n" : "") + ("{\"]\": \"" + std::to_string(i) + "\\\\\"}");
  std::string hash;
  const std::vector<std::string> rows = rows_of(folder.write("a", text + "]"), &hash);
  ASSERT_EQ(rows.size(), 150000u);
  EXPECT_THAT(rows[149999], HasSubstr("{\"]\": \"149999\\\\\"}"));
  EXPECT_EQ(hash, hash_text(text + "]"));
}

TEST(Items, RefuseAListThatIsCutOffOrGoesOn) {
  const TemporaryFolder folder;
  for (const char* text : {"[", "[{}", "[{},", "[{\"a\": \"]", "[{}, {\"a\": [1, 2]", "[{\"a\": [}, {}]"}) {
    EXPECT_THAT(problem_of(folder.write("a", text)), HasSubstr("the file ends within its list")) << text;
  }
  EXPECT_EQ(problem_of(folder.write("a", "[{}, {")),
            ": row 2: the file ends within its list and may be cut off");
  for (const char* text : {"[] x", "[{}]\n{}", "[{}],"}) {
    EXPECT_THAT(problem_of(folder.write("a", text)), HasSubstr("text behind the end of the file's list"))
        << text;
  }
}

TEST(Compressed, RowsAreThoseOfTheText) {
  const TemporaryFolder folder;
  const std::string text = many_rows();
  const std::vector<std::string> expected = rows_of(folder.write("a.jsonl", text));
  const std::string half = text.substr(0, text.size() / 2);
  const std::string rest = text.substr(text.size() / 2);
  std::string hash;
  EXPECT_EQ(rows_of(folder.write("a.jsonl.gz", gzip(text)), &hash), expected);
  EXPECT_EQ(hash, hash_text(gzip(text)));
  EXPECT_EQ(rows_of(folder.write("b.jsonl.gz", gzip(half) + gzip(rest))), expected);
  EXPECT_EQ(rows_of(folder.write("a.jsonl.zst", zstd(text)), &hash), expected);
  EXPECT_EQ(hash, hash_text(zstd(text)));
  EXPECT_EQ(rows_of(folder.write("b.jsonl.zst", zstd(half) + zstd(rest))), expected);
  // As easy to compress as can be: much text from few bytes.
  const std::string zeros = "{" + std::string(10 << 20, '0') + "}\n{}\n";
  EXPECT_EQ(rows_of(folder.write("c.jsonl.gz", gzip(zeros))).size(), 2u);
  EXPECT_EQ(rows_of(folder.write("c.jsonl.zst", zstd(zeros))).size(), 2u);
  EXPECT_THAT(rows_of(folder.write("d.json.gz", gzip("[{}, 2]"))), ElementsAre(" row 1 {}", " row 2  2"));
}

TEST(Compressed, RefusesDamageAndCutsWithTheLine) {
  const TemporaryFolder folder;
  const std::string text = many_rows();
  for (const auto& [ending, content, format] :
       {std::tuple{".jsonl.gz", gzip(text), "gzip"}, std::tuple{".jsonl.zst", zstd(text), "zstd"}}) {
    SCOPED_TRACE(format);
    const std::string path = folder.write(std::string("a") + ending, content);
    const auto problem = [&](const std::string& bytes) {
      folder.write(std::string("a") + ending, bytes);
      return problem_of(path);
    };
    EXPECT_THAT(problem(""), HasSubstr(std::string("the ") + format + " data are cut off"));
    EXPECT_THAT(problem(content.substr(0, content.size() / 2)),
                AllOf(StartsWith(":"), EndsWith(std::string(": the ") + format + " data are cut off")));
    EXPECT_THAT(problem(content.substr(0, content.size() - 1)), HasSubstr("data are cut off"));
    EXPECT_THAT(problem(content + "x"), HasSubstr("data are "));
    EXPECT_THAT(problem("{}\n"), HasSubstr(std::string(": the ") + format + " data are damaged; "));
    std::string damaged = content;
    for (size_t i = content.size() / 2; i < content.size() / 2 + 64; ++i)
      damaged[i] = static_cast<char>(~damaged[i]);
    EXPECT_THAT(problem(damaged), HasSubstr(" data are damaged; "));
  }
}

}  // namespace
}  // namespace ddro::data
