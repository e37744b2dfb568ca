#include "losses/family.h"

#include <array>
#include <charconv>

#include "ddro/base/error.h"

namespace ddro::losses {

LossFamily family_of(LossType type) {
  switch (type) {
    case LossType::kDdro:
      return ddro_family();
    case LossType::kRdro:
      return rdro_family();
    case LossType::kSigmoid:
      return sigmoid_family();
    case LossType::kSft:
      return sft_family();
  }
  check_failed("known loss type", __FILE__, __LINE__, "got " + std::to_string(static_cast<int>(type)));
}

bool needs_reference(LossType type) { return family_of(type).reads_reference; }
bool needs_pairs(LossType type) { return family_of(type).needs_pairs; }
const char* loss_name(LossType type) { return family_of(type).name; }

std::string number_text(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace ddro::losses
