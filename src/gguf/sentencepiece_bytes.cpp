// The messages of sentencepiece_model.proto, written field by field.
#include <algorithm>
#include <bit>

#include "gguf/tokenizer_files.h"

namespace ddro::gguf {
namespace {

constexpr std::uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;      // ModelProto
constexpr std::uint32_t kText = 1, kScore = 2, kKind = 3;                        // SentencePiece
constexpr std::uint32_t kModelType = 3, kVocabSize = 4, kByteFallback = 35;      // TrainerSpec
constexpr std::uint32_t kUnknownId = 40, kUnknownPiece = 45;                     // TrainerSpec
constexpr std::uint32_t kName = 1, kAddDummyPrefix = 3, kRemoveExtraSpaces = 4;  // NormalizerSpec
constexpr std::uint64_t kBpe = 2;
constexpr std::ptrdiff_t kNumBytes = 256;

class Message {
 public:
  void add_number(std::uint32_t field, std::uint64_t value) {
    put(field << 3U);
    put(value);
  }
  void add_float(std::uint32_t field, float value) {
    put(field << 3U | 5U);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 0xFFU);
  }
  void add_bytes(std::uint32_t field, std::string_view bytes) {
    put(field << 3U | 2U);
    put(bytes.size());
    bytes_ += bytes;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void put(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>(value | 0x80U);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

std::string piece(const std::string& text, float score, TokenKind kind) {
  Message message;
  message.add_bytes(kText, text);
  message.add_float(kScore, score);
  message.add_number(kKind, static_cast<std::uint64_t>(kind));
  return message.bytes();
}

std::string trainer_spec(const Vocabulary& vocabulary, std::uint64_t unknown) {
  Message message;
  message.add_number(kModelType, kBpe);
  message.add_number(kVocabSize, vocabulary.tokens.size());
  const auto bytes = std::count(vocabulary.kinds.begin(), vocabulary.kinds.end(), TokenKind::kByte);
  message.add_number(kByteFallback, bytes == kNumBytes ? 1 : 0);
  message.add_number(kUnknownId, unknown);
  message.add_bytes(kUnknownPiece, vocabulary.tokens[unknown]);
  return message.bytes();
}

std::string normalizer_spec(bool prefix_space) {
  Message message;
  message.add_bytes(kName, "identity");
  message.add_number(kAddDummyPrefix, prefix_space ? 1 : 0);
  message.add_number(kRemoveExtraSpaces, 0);
  return message.bytes();
}

}  // namespace

std::string sentencepiece_model(const GgufFile& file) {
  const Vocabulary vocabulary = read_vocabulary(file);
  const std::vector<double> scores = file.numbers("tokenizer.ggml.scores");
  const std::uint64_t unknown = file.integer("tokenizer.ggml.unknown_token_id").value_or(0);
  if (scores.size() != vocabulary.tokens.size() || unknown >= vocabulary.tokens.size())
    refuse_tokenizer(file, "there is not a score for each token, or no unknown token");
  Message model;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenKind kind = id == unknown ? TokenKind::kUnknown : vocabulary.kinds[id];
    model.add_bytes(kPieces, piece(vocabulary.tokens[id], static_cast<float>(scores[id]), kind));
  }
  model.add_bytes(kTrainerSpec, trainer_spec(vocabulary, unknown));
  model.add_bytes(kNormalizerSpec,
                  normalizer_spec(file.boolean("tokenizer.ggml.add_space_prefix").value_or(true)));
  return model.bytes();
}

}  // namespace ddro::gguf
