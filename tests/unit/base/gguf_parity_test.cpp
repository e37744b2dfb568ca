// Our reader of GGUF files against Python's gguf.
#include <cstring>
#include <limits>

#include "ddro/base/gguf_file.h"
#include "ddro/base/safetensors.h"
#include "support/fixtures.h"

#include <gmock/gmock.h>

namespace ddro {
namespace {

std::vector<std::uint32_t> bits_of(std::span<const std::byte> numbers) {
  std::vector<std::uint32_t> bits(numbers.size() / sizeof(std::uint32_t));
  std::memcpy(bits.data(), numbers.data(), numbers.size());
  return bits;
}

TEST(GgufParity, UnpacksEveryBlockTypeToTheSameBits) {
  const GgufFile file(test::fixture("gguf_blocks/blocks.gguf"));
  const SafetensorsFile expected(test::fixture("gguf_blocks/expected.safetensors"));
  EXPECT_EQ(file.tensors().size(), 11U);
  ASSERT_EQ(file.tensors().size(), expected.tensors().size());
  for (const GgufTensor& tensor : file.tensors()) {
    SCOPED_TRACE(tensor.name);
    const TensorView& view = expected.tensors().at(tensor.name);
    EXPECT_EQ(block_format(tensor.type).name, tensor.name);
    EXPECT_EQ(tensor.shape, view.shape);
    std::vector<float> numbers(view.bytes.size() / sizeof(float), std::numeric_limits<float>::quiet_NaN());
    unpack_blocks(tensor.type, tensor.bytes, numbers);
    EXPECT_EQ(bits_of(std::as_bytes(std::span(numbers))), bits_of(view.bytes));
  }
}

TEST(GgufParity, ReadsMetadata) {
  const GgufFile file(test::fixture("gguf_blocks/blocks.gguf"));
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_THAT(file.texts("test.texts"), ::testing::ElementsAre("caf\u00e9", ""));
  EXPECT_EQ(file.number("test.number"), static_cast<double>(0.1F));
}

}  // namespace
}  // namespace ddro
