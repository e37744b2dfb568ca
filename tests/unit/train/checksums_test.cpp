#include "ddro/train/checksums.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "ddro/base/enum_names.h"
#include "ddro/models/adapter.h"
#include "support/expect_error.h"
#include "support/tiny_model.h"
#include "unit/train/flip_bit.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using ::testing::HasSubstr;

class ChecksumsOf : public ::testing::TestWithParam<MomentDType> {};

TEST_P(ChecksumsOf, WeightsAndMomentsNameTheOneWithAnotherBit) {
  const test::TwoParameters model;
  test::Trained trained(model, model.initial(), {.moment_dtype = GetParam()});
  for (const Parameter& entry : trained.parameters.entries()) entry.gradient.normal_();
  trained.optimizer.step(/*learning_rate=*/1e-3, /*gradient_scale=*/1);
  StateTensors state = trained.parameters.state();
  for (StateTensor& tensor : trained.optimizer.state()) state.push_back(std::move(tensor));
  const Checksums sums = checksums(state, dist::alone());
  for (const StateTensor& tensor : state) {
    EXPECT_NO_THROW(check_unchanged(sums, tensor.name, tensor.own, 4));
    test::flip_bit(tensor.own, static_cast<std::int64_t>(tensor.own.nbytes()) * 8 - 1);
    EXPECT_THAT(
        test::message_of(ErrorKind::kInternal, [&] { check_unchanged(sums, tensor.name, tensor.own, 4); }),
        HasSubstr("[memory] after step 4 the bits of " + tensor.name + " are not what they were"));
  }
}

INSTANTIATE_TEST_SUITE_P(Moments, ChecksumsOf,
                         ::testing::Values(MomentDType::kFloat32, MomentDType::kBFloat16,
                                           MomentDType::kFloat8),
                         [](const auto& entry) { return enum_name(entry.param); });

TEST(FrozenWeights, OfABaseAreWatchedAndItsAdapterIsNot) {
  const models::ModelSpec spec = test::tiny_spec();
  const NamedTensors weights = test::tiny_weights(spec, 1);
  models::AdapterOptions options;
  options.adapter_type = models::AdapterType::kLora;
  const models::Adapter adapter = models::make_adapter(options, spec, weights, "tiny", 3, at::kFloat);
  const auto model =
      models::make_causal_lm(spec, weights, {.dtype = at::kFloat, .trainable = true, .adapter = &adapter});
  const Parameters parameters(*model, adapter.tensors);
  const FrozenWeights frozen(parameters, nullptr);
  for (const Parameter& entry : parameters.entries()) {
    test::flip_bit(entry.compute, 77);
    if (entry.trainable) {
      EXPECT_NO_THROW(frozen.check(2)) << entry.name;
    } else {
      EXPECT_THAT(test::message_of(ErrorKind::kInternal, [&] { frozen.check(2); }),
                  HasSubstr("the bits of " + entry.name + " are not what they were"));
    }
    test::flip_bit(entry.compute, 77);
  }
  EXPECT_NO_THROW(frozen.check(2));
}

TEST(FrozenWeights, OfAReferenceAreWatched) {
  const auto policy = test::tiny_model(test::tiny_spec(), 1, at::kFloat, /*trainable=*/true);
  const auto reference = test::tiny_model(test::tiny_spec(), 1, at::kBFloat16, /*trainable=*/false);
  const Parameters parameters(*policy, policy->parameters());
  const FrozenWeights frozen(parameters, reference.get());
  EXPECT_NO_THROW(frozen.check(2));
  const auto& [name, tensor] = reference->parameters().back();
  test::flip_bit(tensor, 0);
  EXPECT_THAT(test::message_of(ErrorKind::kInternal, [&] { frozen.check(2); }),
              HasSubstr("the bits of the reference's " + name + " are not what they were"));
}

}  // namespace
}  // namespace ddro::train
