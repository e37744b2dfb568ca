#include "ddro/train/data_sheet.h"

namespace ddro::train {
namespace {

struct Entry {
  std::string_view part_of_name;
  double teraflops;
};

// A name that is part of another comes after it.
constexpr Entry kDataSheets[] = {
    {"B200", 2250},    {"H200 NVL", 835}, {"H200", 989},    {"H100 NVL", 835}, {"H100 PCIe", 756},
    {"H100", 989},     {"A100", 312},     {"L40S", 362},    {"L40", 181},      {"L4", 121},
    {"RTX 5090", 209}, {"RTX 4090", 165}, {"RTX 3090", 71},
};

}  // namespace

std::optional<double> data_sheet_rate(std::string_view device_name) {
  for (const Entry& entry : kDataSheets) {
    if (device_name.find(entry.part_of_name) != std::string_view::npos) return 1e12 * entry.teraflops;
  }
  return std::nullopt;
}

}  // namespace ddro::train
