// Packed weights against what transformers unpacks, and what is left of them in an exported folder.
#include "models/mxfp4.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parity/models/fixture_models.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

models::ModelFolder open_packed() { return models::open_model_folder(model_fixture("gpt_oss_mxfp4")); }

TEST(Mxfp4Parity, UnpacksToWhatTransformersDoes) {
  const SafetensorsFile expected(model_fixture("gpt_oss_mxfp4.expected") / "values.safetensors");
  const models::ModelFolder folder = open_packed();
  const std::map<std::string, Tensor> tensors(folder.tensors.begin(), folder.tensors.end());
  EXPECT_EQ(expected.tensors().size(), 4u);
  for (const auto& [name, view] : expected.tensors()) {
    EXPECT_EQ(tensors.at(name).scalar_type(), at::kBFloat16);
    EXPECT_TRUE(at::equal(tensors.at(name), tensor_from_view(view, expected.mapping()))) << name;
  }
}

TEST(Mxfp4Parity, AnExportedFolderIsUnpacked) {
  const TemporaryFolder scratch;
  const models::ModelFolder folder = open_packed();
  models::export_model_folder(folder.path, folder.tensors, {}, scratch / "out");
  const models::ModelFolder again = models::open_model_folder(scratch / "out");
  EXPECT_FALSE(again.config_json.contains("quantization_config"));
  EXPECT_EQ(again.base_hash, folder.base_hash);
}

TEST(Mxfp4, RefusesWhatIsNotWhole) {
  const Tensor blocks = at::zeros({2, 3, 1, 16}, at::kByte), scales = at::zeros({2, 3, 1}, at::kByte);
  const auto unpack = [](NamedTensors tensors) { models::unpack_mxfp4(tensors, "folder"); };
  const std::string no_pair = "[folder] tensor w_blocks is no MXFP4 weight with its w_scales";
  const std::vector<NamedTensors> bad = {{{"w_blocks", blocks}},
                                         {{"w_blocks", blocks}, {"w_scales", scales.select(0, 0)}},
                                         {{"w_blocks", blocks.to(at::kFloat)}, {"w_scales", scales}}};
  for (const NamedTensors& tensors : bad)
    EXPECT_EQ(message_of(ErrorKind::kModel, [&] { unpack(tensors); }), no_pair);
  EXPECT_EQ(message_of(ErrorKind::kModel,
                       [&] {
                         unpack({{"w_scales", scales}});
                       }),
            "[folder] tensor w_scales has no blocks");
}

}  // namespace
}  // namespace ddro::test
