#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "ddro/checkpoint/checkpoint.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(InspectCheckpoint, ShowsManifestAndTensors) {
  const TemporaryFolder folder;
  checkpoint::CheckpointWriter writer(folder.path(), 12);
  writer.add_tensors("model.safetensors",
                     sources_of({{"w", at::zeros({3, 4})}, {"s", at::zeros({}, at::kLong)}}));
  writer.add_text("state.json", "{}");
  const auto path = writer.commit({{"alpha", 0.39}});
  const ProgramResult result = ddro_train({"inspect", "checkpoint", path.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part :
       {"step: 12\n", "alpha: 0.39\n", "  w  F32  3 x 4\n", "  s  I64  scalar\n", "state.json  2 bytes  "}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
}

TEST(InspectCheckpoint, RefusesDamage) {
  const TemporaryFolder folder;
  checkpoint::CheckpointWriter writer(folder.path(), 12);
  writer.add_text("state.json", "{}");
  const auto path = writer.commit(Json::object());
  folder.write("step_000012/state.json", "[]");
  const ProgramResult result = ddro_train({"inspect", "checkpoint", path.string()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("state.json] is damaged"));
}

}  // namespace
}  // namespace ddro
