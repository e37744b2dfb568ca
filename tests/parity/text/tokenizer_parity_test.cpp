// Our tokenizers against Hugging Face's `tokenizers` and what transformers' AutoTokenizer makes of a
// tokenizer.model, on the same files.
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/base/random.h"
#include "ddro/text/tokenizer.h"
#include "parity/text/tokenizer_fixtures.h"

namespace ddro::text {
namespace {

std::filesystem::path folder_of(const std::string& family) {
  if (family.rfind("SmolLM2-", 0) != 0) return tokenizer_fixtures() / family;
  const char* source = std::getenv("DDRO_SOURCE_DIR");
  return std::filesystem::path(source ? source : "") / "models" / family;
}

std::string name_of(const testing::TestParamInfo<std::string>& info) { return info.param; }

class TokenizerParity : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    tokenizer_ = load_tokenizer(folder_of(GetParam()));
    for (const Json& line : read_lines(tokenizer_fixtures() / "corpus.jsonl")) corpus_.push_back(line);
    expected_ = read_lines(tokenizer_fixtures() / GetParam() / "expected.jsonl");
    ASSERT_GE(corpus_.size(), 5000u);
    ASSERT_EQ(corpus_.size(), expected_.size());
  }
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<std::string> corpus_;
  std::vector<Json> expected_;
};

TEST_P(TokenizerParity, IdsAreEqual) {
  int wrong = 0;
  for (size_t i = 0; i < corpus_.size() && wrong < 5; ++i) {
    const auto ids = tokenizer_->encode(corpus_[i]).ids;
    const auto expected = expected_[i]["ids"].get<std::vector<TokenId>>();
    wrong += ids != expected;
    EXPECT_EQ(ids, expected) << "line " << i << ": " << Json(corpus_[i]);
  }
}

TEST_P(TokenizerParity, DecodedTextIsEqual) {
  int wrong = 0;
  for (size_t i = 0; i < corpus_.size() && wrong < 5; ++i) {
    const std::string text = tokenizer_->decode(expected_[i]["ids"].get<std::vector<TokenId>>());
    wrong += text != expected_[i]["text"];
    EXPECT_EQ(Json(text), expected_[i]["text"]) << "line " << i << ": " << Json(corpus_[i]);
  }
}

// Where characters are joined or several replaced at once, our offsets name all of them and theirs only some.
TEST_P(TokenizerParity, OffsetsAgree) {
  const bool replaces = GetParam() == "metaspace";
  // Characters without a token, or that a rule takes out, shift all of their later offsets.
  const bool drops = GetParam() == "silent" || GetParam() == "precompiled";
  int wrong = 0;
  for (size_t i = 0; i < corpus_.size() && wrong < 5; ++i) {
    const Encoding encoding = tokenizer_->encode(corpus_[i]);
    ASSERT_EQ(encoding.offsets.size(), encoding.ids.size());
    const std::string line = "line " + std::to_string(i) + ": " + Json(corpus_[i]).dump();
    const bool known = expected_[i].contains("begins") && !drops;
    const bool exact = known && expected_[i]["exact"].get<bool>();
    for (size_t k = 0; k < encoding.ids.size() && wrong < 5; ++k) {
      const Span span = encoding.offsets[k];
      EXPECT_LE(span.begin, span.end);
      EXPECT_LE(span.end, corpus_[i].size());
      EXPECT_GE(span.begin, k > 0 ? encoding.offsets[k - 1].begin : 0) << line;
      if (!known) continue;
      const size_t begin = expected_[i]["begins"][k].get<size_t>();
      const size_t end = expected_[i]["ends"][k].get<size_t>();
      const bool good = (replaces ? span.begin <= begin : span.begin == begin) &&
                        (exact ? span.end == end : span.end >= end);
      wrong += !good;
      EXPECT_TRUE(good) << line << " token " << k << " got " << span.begin << ".." << span.end
                        << ", expected " << begin << ".." << end;
    }
  }
}

TEST_P(TokenizerParity, PostProcessorAddsTheSame) {
  const Json post =
      read_json_file((tokenizer_fixtures() / GetParam() / "post.json").string(), ErrorKind::kInput);
  EXPECT_EQ(tokenizer_->prefix_ids(), post["prefix"].get<std::vector<TokenId>>());
  EXPECT_EQ(tokenizer_->suffix_ids(), post["suffix"].get<std::vector<TokenId>>());
}

TEST_P(TokenizerParity, LiteralTextHasNoControlToken) {
  for (const std::string& text : corpus_) {
    const std::vector<Span> whole = {{0, text.size()}};
    const TokenId unknown = std::max(tokenizer_->id_of("<unk>"), tokenizer_->id_of("<|endoftext|>"));
    for (const TokenId id : tokenizer_->encode(text, whole).ids) {
      // The unknown token stands for characters that the vocabulary lacks, not for its own name.
      ASSERT_TRUE(id == unknown || !tokenizer_->is_control(id))
          << tokenizer_->token_of(id) << " in " << Json(text);
    }
    // Text without control tokens is the same, literal or not.
    if (tokenizer_->find_control_text(text).empty()) {
      ASSERT_EQ(tokenizer_->encode(text, whole).ids, tokenizer_->encode(text).ids) << Json(text);
    }
  }
}

const std::string kJson[] = {"gpt2",  "roberta", "neox",   "llama3", "qwen2",   "smollm2",   "nemo",
                             "bloom", "removed", "middle", "llama2", "mistral", "metaspace", "gemma",
                             "words", "fused",   "silent", "clip",   "affixes"};

// Other models than BPE, and rarer components.
const std::string kOthers[] = {"wordpiece", "cased", "levels", "byte_pieces", "bytes_first"};

INSTANTIATE_TEST_SUITE_P(Json, TokenizerParity, testing::ValuesIn(kJson), name_of);
INSTANTIATE_TEST_SUITE_P(Others, TokenizerParity, testing::ValuesIn(kOthers), name_of);
INSTANTIATE_TEST_SUITE_P(Precompiled, TokenizerParity, testing::Values("precompiled"), name_of);
INSTANTIATE_TEST_SUITE_P(Own, TokenizerParity, testing::Values("SmolLM2-135M-Instruct"),
                         [](const auto&) { return std::string("SmolLM2"); });
INSTANTIATE_TEST_SUITE_P(SentencePiece, TokenizerParity,
                         testing::Values("sp_legacy", "sp_new", "sp_bare", "sp_unigram", "sp_unigram_new"),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Tekken, TokenizerParity, testing::Values("tekken", "tekken_oldest"), name_of);

class LiteralParity : public testing::TestWithParam<std::string> {};

// Expected ids come from a tokenizer that knows the control tokens by other names.
TEST_P(LiteralParity, IdsAroundControlTokensAreEqual) {
  const auto tokenizer = load_tokenizer(folder_of(GetParam()));
  for (const Json& row : read_lines(tokenizer_fixtures() / GetParam() / "literal.jsonl")) {
    std::vector<Span> literal;
    for (const Json& span : row["literal"]) literal.push_back({span[0].get<size_t>(), span[1].get<size_t>()});
    ASSERT_EQ(tokenizer->encode(row["text"].get<std::string>(), literal).ids,
              row["ids"].get<std::vector<TokenId>>())
        << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Json, LiteralParity, testing::ValuesIn(kJson), name_of);
INSTANTIATE_TEST_SUITE_P(Others, LiteralParity, testing::ValuesIn(kOthers), name_of);

class RoundTrip : public testing::TestWithParam<std::string> {};

TEST_P(RoundTrip, DecodeInvertsEncode) {
  const auto tokenizer = load_tokenizer(folder_of(GetParam()));
  for (const Json& line : read_lines(tokenizer_fixtures() / "corpus.jsonl")) {
    const std::string text = line;
    if (text.find("\u2581") != std::string::npos) continue;  // some of these write a space that way
    // Not special, so tokens of literal text, too: one takes the space around it, one is no byte alphabet.
    if (text.find("<both>") != std::string::npos || text.find("\u00DCber") != std::string::npos) continue;
    const std::vector<Span> literal = {{0, text.size()}};
    ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, literal).ids), text) << line;
  }
}

INSTANTIATE_TEST_SUITE_P(Exact, RoundTrip, testing::Values("gpt2", "llama3", "smollm2", "nemo", "gemma"),
                         name_of);

// Some changes leave a model that works; none may do more harm than an Error.
TEST(SentencePieceFile, WrongBytesAreRefusedOrHarmless) {
  const std::filesystem::path source = tokenizer_fixtures() / "sp_unigram";
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "ddro-broken-model";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(source, folder);
  const std::string model = read_file(source / "tokenizer.model");
  int refused = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    std::string broken = model.substr(0, i % 2 ? model.size() : random_bits(1, 0, i) % model.size());
    broken[random_bits(1, 1, i) % broken.size()] = static_cast<char>(random_bits(1, 2, i) & 0xFF);
    std::filesystem::remove(folder / "tokenizer.model");
    write_file_atomic(folder / "tokenizer.model", broken);
    try {
      load_tokenizer(folder)->encode("Hello, w\u00F6rld! \u2460 <|end|>");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      ++refused;
    }
  }
  EXPECT_GE(refused, 20);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ddro::text
