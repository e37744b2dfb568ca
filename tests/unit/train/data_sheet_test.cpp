#include "ddro/train/data_sheet.h"

#include <gtest/gtest.h>

namespace ddro::train {
namespace {

// Names as the driver gives them.
TEST(DataSheet, KnowsDevicesByTheirDriversNames) {
  EXPECT_EQ(data_sheet_rate("NVIDIA H200"), 989e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA H200 NVL"), 835e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA H100 80GB HBM3"), 989e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA H100 PCIe"), 756e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA A100-SXM4-80GB"), 312e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA L40S"), 362e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA L4"), 121e12);
  EXPECT_EQ(data_sheet_rate("NVIDIA GeForce RTX 4090"), 165e12);
}

TEST(DataSheet, SaysNothingOfOthers) {
  EXPECT_EQ(data_sheet_rate("Tesla T4"), std::nullopt);
  EXPECT_EQ(data_sheet_rate(""), std::nullopt);
}

}  // namespace
}  // namespace ddro::train
