#include "ddro/checkpoint/host_copy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <future>

#include "ddro/base/safetensors.h"
#include "ddro/checkpoint/checkpoint.h"
#include "support/on_device.h"
#include "support/temporary_folder.h"

namespace ddro::checkpoint {
namespace {

class CopyFrom : public test::OnDevice {};

TEST_P(CopyFrom, StaysWhileTheTensorsChange) {
  const NamedTensors live = {{"matrix", at::arange(0, 12, at::kFloat).view({3, 4}).to(device())},
                             {"half", at::arange(0, 5, at::kFloat).to(at::kBFloat16).to(device())},
                             {"codes", at::arange(0, 7, at::kByte).to(device())},
                             {"step", at::scalar_tensor(3, at::kLong)}};
  NamedTensors before;
  for (const auto& [name, tensor] : live)
    before.emplace_back(name, tensor.to(at::kCPU, tensor.scalar_type(), false, true));
  HostCopy copy;
  const NamedTensors taken = copy.take(sources_of(live));
  for (const auto& [name, tensor] : live) tensor.add_(1);
  ASSERT_EQ(taken.size(), live.size());
  for (size_t i = 0; i < taken.size(); ++i) {
    EXPECT_EQ(taken[i].first, before[i].first);
    EXPECT_EQ(taken[i].second.scalar_type(), before[i].second.scalar_type());
    EXPECT_TRUE(at::equal(taken[i].second, before[i].second)) << before[i].first;
  }
}

TEST_P(CopyFrom, KeepsItsMemoryForTheNextTime) {
  const Tensor live = at::zeros({100}, device());
  HostCopy copy;
  const Tensor first = copy.take(sources_of({{"w", live}})).front().second;
  EXPECT_EQ(first.is_pinned(), device().is_cuda());
  live.fill_(7);
  const NamedTensors& again = copy.take(sources_of({{"w", live}}));
  EXPECT_EQ(again.front().second.const_data_ptr(), first.const_data_ptr());
  EXPECT_TRUE(at::equal(again.front().second, live.to(at::kCPU)));
  const Tensor other = at::ones({3, 5}, device());
  EXPECT_TRUE(at::equal(copy.take(sources_of({{"w", other}})).front().second, other.to(at::kCPU)));
}

TEST_P(CopyFrom, FillsTheMemoryThatWasMadeRoom) {
  const Tensor live = at::full({3, 2000}, 5, device());
  TensorSources sources = sources_of({{"w", live}});
  sources.front().fetch = {};
  HostCopy copy;
  copy.make_room(sources, device());
  const Tensor taken = copy.take(sources_of({{"w", live}})).front().second;
  EXPECT_EQ(taken.is_pinned(), device().is_cuda());
  EXPECT_TRUE(at::equal(taken, live.to(at::kCPU)));
}

INSTANTIATE_TEST_SUITE_P(HostCopyCpu, CopyFrom, testing::Values(at::kCPU));
INSTANTIATE_TEST_SUITE_P(HostCopyCuda, CopyFrom, testing::Values(at::kCUDA));

// As a run saves: memory is made, and the copy written, by threads beside the one that goes on to change what
// was copied.
TEST(HostCopy, IsWrittenBesideTheSteps) {
  const test::TemporaryFolder folder;
  const Tensor weight = at::arange(0, 100000, at::kFloat), moment = at::zeros({100000});
  const auto sources = [&] { return sources_of({{"weight", weight}, {"moment", moment}}); };
  HostCopy copy;
  auto room = std::async(std::launch::async, [&] { copy.make_room(sources(), at::kCPU); });
  std::future<std::filesystem::path> writing;
  NamedTensors expected;
  const auto expect_written = [&] {
    const SafetensorsFile file(writing.get() / "state.safetensors");
    for (const auto& [name, tensor] : expected)
      EXPECT_TRUE(at::equal(tensor_from_view(file.tensors().at(name), file.mapping()), tensor)) << name;
  };
  for (int step = 1; step <= 4; ++step) {
    weight.add_(1);
    moment.add_(weight);
    if (room.valid()) room.get();
    if (writing.valid()) expect_written();
    expected = {{"weight", weight.clone()}, {"moment", moment.clone()}};
    writing = std::async(std::launch::async, [&folder, step, taken = sources_of(copy.take(sources()))] {
      CheckpointWriter writer(folder.path(), step);
      writer.add_tensors("state.safetensors", taken);
      return writer.commit({});
    });
  }
  expect_written();
  EXPECT_EQ(newest_checkpoint(folder.path())->step, 4);
}

TEST(HostCopy, FetchesEachTensorOnceInTheirOrder) {
  std::vector<std::string> fetched;
  TensorSources sources;
  for (const std::string name : {"b", "a"}) {
    sources.push_back({name, at::kFloat, {2}, [&fetched, name] {
                         fetched.push_back(name);
                         return at::ones({2});
                       }});
  }
  HostCopy().take(sources);
  EXPECT_EQ(fetched, (std::vector<std::string>{"b", "a"}));
}

}  // namespace
}  // namespace ddro::checkpoint
