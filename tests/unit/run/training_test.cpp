#include "run/training.h"

#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "support/fixtures.h"
#include "support/scored_apart.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ddro::run {
namespace {

// A run of a tiny policy against a reference made from `reference_seed` (the policy's is 1).
class TinyTraining {
 public:
  TinyTraining(const std::filesystem::path& folder, std::uint64_t reference_seed, bool reference_is_base,
               losses::Stabilizer stabilizer = losses::Stabilizer::kCap, bool cached = false) {
    run_.base_model.path = folder;
    run_.base_model.spec = test::tiny_spec();
    run_.base_model.tensors = test::tiny_weights(run_.base_model.spec, 1);
    if (!reference_is_base) run_.reference_model = run_.base_model;
    run_.config.objective.stabilizer = stabilizer;
    run_.config.train.output_dir = (folder / "run").string();
    run_.config.train.train_batch_size = 4;
    run_.config.optimizer.learning_rate = 1e-3;
    run_.objective = losses::make_objective(run_.config.objective, 0.5);
    run_.train.dataset = test::random_dataset(12, /*paired=*/true, 5);
    run_.steps_per_epoch = run_.total_steps = 3;
    policy_ = test::tiny_model(run_.base_model.spec, 1, at::kFloat, /*trainable=*/true);
    reference_ = test::tiny_model(run_.base_model.spec, reference_seed, at::kFloat, /*trainable=*/false);
    if (cached) {
      run_.train.reference = std::make_shared<train::LogProbTable>(
          run_.train.dataset, test::scored_apart(*reference_, run_.train.dataset));
    } else {
      run_.train.reference = std::make_shared<train::ModelLogProbs>(*reference_);
    }
    std::filesystem::create_directories(folder / "run");
    training_ = std::make_unique<Training>(run_, *policy_, cached ? nullptr : reference_.get(), stop_,
                                           RunIdentity(), std::nullopt, nullptr);
  }

  void flip_a_bit_of_the_reference() {
    reference_->parameters()[3].second.view(at::kInt).view(-1)[5].bitwise_xor_(1);
  }
  std::string flipped_name() const { return reference_->parameters()[3].first; }

  // The error that ends the run, or "finished".
  std::string run(ErrorKind expected) {
    try {
      training_->run();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), expected) << error.what();
      return error.what();
    }
    return "finished";
  }

 private:
  LoadedRun run_;
  std::unique_ptr<models::CausalLm> policy_;
  std::unique_ptr<models::CausalLm> reference_;
  StopFlag stop_{/*save_before_timeout_s=*/120};
  std::unique_ptr<Training> training_;
};

TEST(Training, RefusesAReferenceThatIsSaidToBeThePolicyAndIsNot) {
  const test::TemporaryFolder folder;
  TinyTraining run(folder.path(), /*reference_seed=*/2, /*reference_is_base=*/true);
  EXPECT_THAT(run.run(ErrorKind::kModel),
              testing::StartsWith("[reference] policy and reference are the same folder"));
}

TEST(Training, AllowsCachedValuesOfTheSameModelTheRoundingOfOtherMicroBatches) {
  const test::TemporaryFolder folder;
  TinyTraining same(folder.path(), /*reference_seed=*/1, /*reference_is_base=*/true, losses::Stabilizer::kCap,
                    /*cached=*/true);
  // The model folder has no files to export: the run gets past its first step and ends there.
  EXPECT_THAT(same.run(ErrorKind::kModel), testing::Not(testing::StartsWith("[reference]")));
  const test::TemporaryFolder other_folder;
  TinyTraining other(other_folder.path(), /*reference_seed=*/2, /*reference_is_base=*/true,
                     losses::Stabilizer::kCap, /*cached=*/true);
  EXPECT_THAT(other.run(ErrorKind::kModel),
              testing::StartsWith("[reference] policy and reference are the same folder"));
}

TEST(Training, SavesNothingThatAReferenceWithAFlippedBitHasBeenReadFor) {
  const test::TemporaryFolder folder;
  TinyTraining run(folder.path(), /*reference_seed=*/2, /*reference_is_base=*/false);
  run.flip_a_bit_of_the_reference();
  EXPECT_THAT(run.run(ErrorKind::kInternal),
              testing::StartsWith("[memory] after step 3 the bits of the reference's " + run.flipped_name() +
                                  " are not what they were"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run/checkpoints/step_000003"));
}

TEST(ShareSeen, GrowsOverTheFirstEpochAndStays) {
  EXPECT_EQ(train::share_seen({.epoch = 0, .step_in_epoch = 0}, 4), 0.25);
  EXPECT_EQ(train::share_seen({.epoch = 0, .step_in_epoch = 3}, 4), 1);
  EXPECT_EQ(train::share_seen({.epoch = 1, .step_in_epoch = 0}, 4), 1);
  EXPECT_EQ(train::share_seen({.epoch = 5, .step_in_epoch = 2}, 4), 1);
}

TEST(Training, NamesTheDataRowWhoseRawLossIsPastThePole) {
  const test::TemporaryFolder folder;
  TinyTraining run(folder.path(), /*reference_seed=*/2, /*reference_is_base=*/false,
                   losses::Stabilizer::kNone);
  EXPECT_THAT(run.run(ErrorKind::kNonFinite), testing::AllOf(testing::HasSubstr("[objective.stabilizer]"),
                                                             testing::HasSubstr("(step 1, random:")));
}

}  // namespace
}  // namespace ddro::run
