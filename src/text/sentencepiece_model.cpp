#include "text/sentencepiece_model.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/utf8.h"

namespace ddro::text {
namespace {

// Fields of the messages in sentencepiece_model.proto.
constexpr std::uint64_t kPieces = 1, kTrainerSpec = 2;                    // ModelProto
constexpr std::uint64_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;  // SentencePiece
constexpr std::uint64_t kModelType = 3, kUnknownPiece = 45;               // TrainerSpec
constexpr std::uint64_t kUnigram = 1, kBpe = 2;

// The protobuf wire format, as far as needed.
class WireReader {
 public:
  WireReader(std::string_view bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  struct Field {
    std::uint64_t number = 0;
    std::uint64_t value = 0;   // of a varint
    std::string_view payload;  // of anything else
  };
  void for_each_field(const std::function<void(const Field&)>& visit) {
    while (position_ < bytes_.size()) visit(next());
  }
  [[noreturn]] void refuse() const { throw model_error("[" + place_ + "] not a sentencepiece model"); }

 private:
  Field next() {
    const std::uint64_t tag = varint();
    Field field{tag >> 3, 0, {}};
    switch (tag & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.payload = take(8);
        break;
      case 2:
        field.payload = take(varint());
        break;
      case 5:
        field.payload = take(4);
        break;
      default:
        refuse();
    }
    return field;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse();
  }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - position_) refuse();
    const std::string_view result = bytes_.substr(position_, static_cast<size_t>(size));
    position_ += static_cast<size_t>(size);
    return result;
  }

  std::string_view bytes_;
  const std::string& place_;
  size_t position_ = 0;
};

SentencePieceModel::Piece read_piece(std::string_view bytes, const std::string& place) {
  SentencePieceModel::Piece piece;
  WireReader reader(bytes, place);
  reader.for_each_field([&](const WireReader::Field& field) {
    if (field.number == kPieceText) piece.text = field.payload;
    if (field.number == kPieceScore && field.payload.size() == sizeof piece.score)
      std::memcpy(&piece.score, field.payload.data(), sizeof piece.score);
    if (field.number == kPieceType) {
      if (field.value < 1 || field.value > 6) reader.refuse();
      piece.type = static_cast<SentencePieceModel::Type>(field.value);
    }
  });
  if (piece.text.empty() || find_invalid_utf8(piece.text) != std::string::npos ||
      !(piece.score == piece.score))
    reader.refuse();
  return piece;
}

void read_trainer_spec(std::string_view bytes, const std::string& place, SentencePieceModel& model) {
  std::uint64_t type = kUnigram;
  WireReader(bytes, place).for_each_field([&](const WireReader::Field& field) {
    if (field.number == kModelType) type = field.value;
    if (field.number == kUnknownPiece) model.unknown = field.payload;
  });
  if (type != kUnigram && type != kBpe) {
    throw model_error("[" + place +
                      "] a sentencepiece model of words or characters; expected one of BPE or unigram");
  }
  model.is_bpe = type == kBpe;
}

}  // namespace

SentencePieceModel read_sentencepiece_model(const std::filesystem::path& file) {
  const std::string place = printable(file.string(), 400);
  const std::string bytes = read_file(file, ErrorKind::kModel, std::uint64_t{1} << 30);
  SentencePieceModel model;
  WireReader reader(bytes, place);
  reader.for_each_field([&](const WireReader::Field& field) {
    if (field.number == kPieces) model.pieces.push_back(read_piece(field.payload, place));
    if (field.number == kTrainerSpec) read_trainer_spec(field.payload, place, model);
  });
  if (model.pieces.size() < 3) reader.refuse();
  return model;
}

}  // namespace ddro::text
