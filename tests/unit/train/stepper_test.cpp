#include "ddro/train/stepper.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "support/expect_error.h"
#include "support/tiny_model.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Like a machine that is wrong in one of its computations.
class Shaky : public LogProbs {
 public:
  explicit Shaky(int wrong_call) : wrong_call_(wrong_call) {}
  std::vector<double> of(const data::PackedBatch& batch, const ModelBatch&, bool) const override {
    std::vector<double> logp(batch.completions.size(), -5);
    if (++calls_ == wrong_call_) logp[0] = std::nextafter(logp[0], 0);
    return logp;
  }
  bool is_live() const override { return true; }
  int calls() const { return calls_; }

 private:
  int wrong_call_;
  mutable int calls_ = 0;
};

// Steps of a tiny model, one micro-batch each.
class Steps {
 public:
  Steps(const LogProbs& reference, std::int64_t replay_check_steps, bool skip_spikes = false)
      : stepper_({.policy = *policy_,
                  .reference = &reference,
                  .train_set = dataset_,
                  .objective = *objective_,
                  .pack_options = {},
                  .steps_per_epoch = 6,
                  .total_steps = 6,
                  .replay_check_steps = replay_check_steps,
                  .spikes = &usual_,
                  .skip_spikes = skip_spikes},
                 options_, trained_.parameters, trained_.optimizer) {}

  void run(std::int64_t count) {
    while (done_ < count) step();
  }
  StepReport step() {
    const std::vector<std::int64_t> examples = {2 * done_, 2 * done_ + 1};
    const data::SamplerState place{.epoch = 0, .step_in_epoch = done_};
    return stepper_.step(data::plan_step(dataset_, examples, {}), place, done_++);
  }
  // The steps before had smaller norms by far.
  void expect_nothing_much() {
    for (int i = 0; i < 50; ++i) usual_.record(1, 1e-6, false);
  }
  Tensor embedding() const { return trained_.parameters.entries()[0].master; }

 private:
  const models::ModelSpec spec_ = test::tiny_spec();
  const std::unique_ptr<models::CausalLm> policy_ =
      test::tiny_model(spec_, 1, at::kFloat, /*trainable=*/true);
  const data::Dataset dataset_ = test::random_dataset(12, /*paired=*/true, 5);
  const std::unique_ptr<losses::Objective> objective_ = losses::make_objective({}, 0.5);
  const OptimizerOptions options_{.learning_rate = 1e-2, .warmup_ratio = 0};
  test::Trained trained_{*policy_, test::tiny_weights(spec_, 1), options_};
  SpikeGuard usual_;
  Stepper stepper_;
  std::int64_t done_ = 0;
};

Tensor start() { return test::tiny_weights(test::tiny_spec(), 1)[0].second.to(at::kFloat); }

TEST(Replay, LeavesTheStepsAsTheyAre) {
  const Shaky sound(0);
  Steps once(sound, 0), twice(sound, 2);
  once.run(4);
  EXPECT_EQ(sound.calls(), 4);
  twice.run(4);
  EXPECT_EQ(sound.calls(), 4 + 4 + 2) << "every second step is computed twice";
  EXPECT_TRUE(at::equal(once.embedding(), twice.embedding()));
  EXPECT_FALSE(at::equal(once.embedding(), start()));
}

TEST(Replay, EndsTheRunWhereAComputationDiffers) {
  const Shaky shaky(6);  // the second time of step 4
  Steps steps(shaky, 2);
  EXPECT_THAT(test::message_of(ErrorKind::kInternal, [&] { steps.run(6); }),
              AllOf(HasSubstr("[train.replay_check_steps] step 4 computed twice is not the same"),
                    HasSubstr("the reference's log-probability of completion ")));
}

TEST(Spikes, AreToldAndChangeNothingOnRequest) {
  const Shaky sound(0);
  for (const bool skip : {false, true}) {
    Steps steps(sound, 0, skip);
    EXPECT_EQ(steps.step().spike, "");
    steps.expect_nothing_much();
    const Tensor before = steps.embedding().clone();
    const StepReport report = steps.step();
    EXPECT_TRUE(report.is_finite);
    EXPECT_THAT(report.spike, HasSubstr("gradient norm "));
    EXPECT_EQ(report.updated, !skip);
    EXPECT_EQ(at::equal(steps.embedding(), before), skip);
  }
}

}  // namespace
}  // namespace ddro::train
