#include "text/sentencepiece_model.h"

#include <sentencepiece_processor.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string_view>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"

namespace ddro::text {
namespace {

// Fields of the messages in sentencepiece_model.proto that the library reads and does not tell.
constexpr std::uint64_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;  // ModelProto
constexpr std::uint64_t kPieceType = 3;                                      // SentencePiece
constexpr std::uint64_t kModelType = 3;                                      // TrainerSpec
constexpr std::uint64_t kAddDummyPrefix = 3;                                 // NormalizerSpec
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

SentencePieceModel::Type read_type(std::string_view bytes, const std::string& place) {
  auto type = SentencePieceModel::Type::kNormal;
  WireReader reader(bytes, place);
  reader.for_each_field([&](const WireReader::Field& field) {
    if (field.number != kPieceType) return;
    if (field.value < 1 || field.value > 6) reader.refuse();
    type = static_cast<SentencePieceModel::Type>(field.value);
  });
  return type;
}

bool read_is_bpe(std::string_view bytes, const std::string& place) {
  std::uint64_t type = kUnigram;
  WireReader(bytes, place).for_each_field([&](const WireReader::Field& field) {
    if (field.number == kModelType) type = field.value;
  });
  if (type != kUnigram && type != kBpe) {
    throw model_error("[" + place +
                      "] a sentencepiece model of words or characters; expected one of BPE or unigram");
  }
  return type == kBpe;
}

bool read_adds_space(std::string_view bytes, const std::string& place) {
  bool adds_space = true;
  WireReader(bytes, place).for_each_field([&](const WireReader::Field& field) {
    if (field.number == kAddDummyPrefix) adds_space = field.value != 0;
  });
  return adds_space;
}

// What sentencepiece itself says of the pieces; it checks the file.
void read_pieces(const std::string& bytes, const std::string& place, SentencePieceModel& model) {
  sentencepiece::SentencePieceProcessor processor;
  const sentencepiece::util::Status status = processor.LoadFromSerializedProto(bytes);
  if (!status.ok()) {
    throw model_error("[" + place + "] not a sentencepiece model: " + printable(status.ToString(), 400));
  }
  model.unknown = processor.IdToPiece(processor.unk_id());
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    SentencePieceModel::Piece piece{processor.IdToPiece(id), processor.GetScore(id)};
    if (find_invalid_utf8(piece.text) != std::string::npos || std::isnan(piece.score)) {
      throw model_error("[" + place + "] not a sentencepiece model: piece " + std::to_string(id) +
                        " is not UTF-8, or has no score");
    }
    model.pieces.push_back(std::move(piece));
  }
}

}  // namespace

SentencePieceModel read_sentencepiece_model(const gguf::ModelFiles& files) {
  const std::string place = files.place("tokenizer.model");
  const std::string bytes = files.read("tokenizer.model");
  SentencePieceModel model;
  read_pieces(bytes, place, model);
  size_t id = 0;
  WireReader(bytes, place).for_each_field([&](const WireReader::Field& field) {
    if (field.number == kPieces) model.pieces.at(id++).type = read_type(field.payload, place);
    if (field.number == kTrainerSpec) model.is_bpe = read_is_bpe(field.payload, place);
    if (field.number == kNormalizerSpec) model.adds_space = read_adds_space(field.payload, place);
  });
  return model;
}

}  // namespace ddro::text
