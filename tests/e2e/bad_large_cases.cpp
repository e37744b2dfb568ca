// Files that are small, or soon written, and would take a machine's memory or minutes: refused at once, in
// little memory.
#include <zlib.h>

#include <cstring>
#include <functional>
#include <stdexcept>

#include "bad_input.h"

namespace ddro::test {
namespace {

constexpr int kMillion = 1'000'000;

std::string repeated(std::string_view text, size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string numbered(int count, const std::function<std::string(const std::string&)>& entry) {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i > 0 ? "," : "") + entry(std::to_string(i));
  return list;
}

// gzip of so many megabytes of the character, in members of one.
std::string gzip_of_megabytes(char character, int megabytes) {
  const std::string text(1 << 20, character);
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (deflateInit2(&stream, 9, Z_DEFLATED, kGzip, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("no zlib");
  std::string member(size_t{1} << 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(member.data());
  stream.avail_out = static_cast<uInt>(member.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("zlib does not end");
  member.resize(stream.total_out);
  deflateEnd(&stream);
  return repeated(member, static_cast<size_t>(megabytes));
}

// One of tests/fixtures/make_parquet.py: 2 KB, and 60 MB for each of 10,000 rows.
BadInput parquet_of_one_text() {
  return {"ParquetOfOneTextInEachRow", 2, "[data] @/rows.parquet: the Parquet data take more than 256 MB",
          [](Scene& scene) {
            std::filesystem::copy(fixture("parquet/one_text.parquet"), scene.path("rows.parquet"));
            return scene.train_with("data.train_files=['@/rows.parquet']");
          }};
}

// A file of rows; the case's name says of what.
BadInput rows(const char* name, const std::string& file, const std::function<std::string()>& content,
              const std::string& phrase) {
  return {name, 2, "[data] @/" + file + phrase, [=](Scene& scene) {
            return scene.write(file, "")
                .change_bytes(file, [&](std::string& bytes) { bytes = content(); })
                .train_with("data.train_files=['@/" + file + "']");
          }};
}

BadInput model_file(const char* name, const std::string& file,
                    const std::function<void(std::string&)>& change, const std::string& phrase) {
  return {name, 3, "[@/model/" + file + phrase,
          [=](Scene& scene) { return scene.change_bytes("model/" + file, change).train(); }};
}

void add_a_million_tokens(std::string& tokenizer) {
  const size_t list = tokenizer.find("\"added_tokens\"");
  const size_t begin = tokenizer.find('[', list) + 1;
  tokenizer.insert(begin, numbered(kMillion, [](const std::string& i) {
                            return R"({"id":)" + i + R"(,"content":")" + i +
                                   R"(","single_word":false,"lstrip":false,"rstrip":false,)" +
                                   R"("normalized":false,"special":true})";
                          }) + ",");
}

std::string with_header(const std::string& header) {
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header;
}

// A million names with that value.
BadInput weights_header(const char* name, const std::string& value, const std::string& phrase) {
  return model_file(
      name, "model.safetensors",
      [value](std::string& file) {
        const auto entry = [&](const std::string& i) { return "\"" + i + "\":" + value; };
        file = with_header("{" + numbered(kMillion, entry) + "}");
      },
      phrase);
}

BadInput index_of_tensors(const char* name, int count, const std::string& phrase) {
  return {name, 3, "[@/model/model.safetensors.index.json" + phrase, [count](Scene& scene) {
            const auto entry = [](const std::string& i) { return "\"" + i + R"(":"model.safetensors")"; };
            return scene
                .write("model/model.safetensors.index.json",
                       R"({"weight_map":{)" + numbered(count, entry) + "}}")
                .remove("model/model.safetensors")
                .train();
          }};
}

std::vector<BadInput> cases() {
  const std::string too_long = ": the row has more than 64 MB";
  const std::string too_many = ":1: more than 1048576 values";
  return {
      rows(
          "LineOf1200MB", "rows.jsonl.gz", [] { return gzip_of_megabytes('x', 1200); }, ":1" + too_long),
      rows(
          "RowOf1200MBInAList", "rows.json.gz",
          [] { return gzip_of_megabytes('[', 1) + gzip_of_megabytes('"', 1200); }, ": row 1: "),
      rows(
          "TextOf60MB", "rows.jsonl",
          [] {
            return R"({"prompt": "Q:", "rejected": " b", "chosen": ")" + repeated(" x", 30 * kMillion) +
                   "\"}\n";
          },
          ":1: \"chosen\": prompt and completion have more than 4 MB of text"),
      rows(
          "MessagesOf60MB", "rows.jsonl",
          [] {
            return R"({"rejected": [{"role": "assistant", "content": "b"}], "chosen": [{"role": "assistant", "content": "a"}], "prompt": [)" +
                   repeated(R"({"role":"user","content":"a"},)", 2 * kMillion) +
                   "{\"role\":\"user\",\"content\":\"a\"}]}\n";
          },
          too_many),
      rows(
          "ListsByTheMillion", "rows.jsonl",
          [] { return R"({"x": [)" + repeated("[],", 20 * kMillion) + "[]]}\n"; }, too_many),
      rows(
          "KeysByTheMillion", "rows.jsonl",
          [] {
            return "{" + numbered(5 * kMillion, [](const std::string& i) { return "\"" + i + "\":0"; }) +
                   "}\n";
          },
          ":1: more than 262144 keys in one object"),
      model_file("AddedTokensByTheMillion", "tokenizer.json", add_a_million_tokens, "] is too large; got "),
      weights_header("TensorsByTheMillion", R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})",
                     "] not a safetensors file, or truncated: header length "),
      weights_header("EntriesByTheMillion", "0", " header] more than 262144 keys in one object"),
      parquet_of_one_text(),
      index_of_tensors("IndexOfTwoMillionTensors", 2 * kMillion, "] is too large"),
      model_file(
          "TokenizerConfigOfLists", "tokenizer_config.json",
          [](std::string& config) { config.insert(1, "\"x\":[" + repeated("[],", 20 * kMillion) + "[]],"); },
          "] more than 4194304 values"),
  };
}

// About a second on the machines of today; beside other work, or on a slower one, they take more.
std::vector<BadInput> with_time(std::vector<BadInput> cases) {
  for (BadInput& bad : cases) bad.cpu_seconds = 5;
  return cases;
}

}  // namespace

DDRO_BAD_INPUTS(Large, with_time(cases()));

}  // namespace ddro::test
