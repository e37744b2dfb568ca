#include "ddro/train/trainer.h"

#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "support/fixtures.h"
#include "support/scored_apart.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ddro::train {
namespace {

// A run of a tiny policy against a reference made from `reference_seed` (the policy's is 1).
class TinyTrainer {
 public:
  TinyTrainer(const std::filesystem::path& folder, std::uint64_t reference_seed, bool reference_is_base,
              double learning_rate = 1e-3, losses::Stabilizer stabilizer = losses::Stabilizer::kCap,
              bool cached = false) {
    base_.path = folder;
    base_.config = test::tiny_config();
    base_.tensors = test::tiny_weights(base_.config, 1);
    losses::ObjectiveOptions objective;
    objective.stabilizer = stabilizer;
    objective_ = losses::make_objective(objective, 0.5);
    policy_ = test::tiny_model(base_.config, 1, at::kFloat, /*trainable=*/true);
    reference_ = test::tiny_model(base_.config, reference_seed, at::kFloat, /*trainable=*/false);
    dataset_ = test::random_dataset(12, /*paired=*/true, 5);
    live_ = std::make_unique<LiveReference>(*reference_);
    if (cached)
      cached_ = std::make_unique<ReferenceTable>(dataset_, test::scored_apart(*reference_, dataset_));
    options_.train.output_dir = (folder / "run").string();
    options_.train.train_batch_size = 4;
    options_.optimizer.learning_rate = learning_rate;
    std::filesystem::create_directories(folder / "run");
    trainer_ = std::make_unique<Trainer>(TrainerParts{.policy = *policy_,
                                                      .reference = cached ? cached_.get() : live_.get(),
                                                      .base_model = base_,
                                                      .reference_is_base = reference_is_base,
                                                      .train_set = dataset_,
                                                      .eval_sets = {},
                                                      .objective = *objective_,
                                                      .samples = {},
                                                      .stop = stop_,
                                                      .identity = {}},
                                         options_, std::nullopt);
  }

  // The error that ends the run, or "finished".
  std::string run(ErrorKind expected) {
    try {
      trainer_->run();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), expected) << error.what();
      return error.what();
    }
    return "finished";
  }

 private:
  models::ModelFolder base_;
  std::unique_ptr<losses::Objective> objective_;
  std::unique_ptr<models::CausalLm> policy_;
  std::unique_ptr<models::CausalLm> reference_;
  data::Dataset dataset_;
  std::unique_ptr<ReferenceLogProbs> live_;
  std::unique_ptr<ReferenceLogProbs> cached_;
  TrainerOptions options_;
  StopFlag stop_{/*save_before_timeout_s=*/120};
  std::unique_ptr<Trainer> trainer_;
};

TEST(Trainer, RefusesAReferenceThatIsSaidToBeThePolicyAndIsNot) {
  const test::TemporaryFolder folder;
  TinyTrainer run(folder.path(), /*reference_seed=*/2, /*reference_is_base=*/true);
  EXPECT_THAT(run.run(ErrorKind::kModel),
              testing::StartsWith("[reference] policy and reference are the same folder"));
}

TEST(Trainer, AllowsCachedValuesOfTheSameModelTheRoundingOfOtherMicroBatches) {
  const test::TemporaryFolder folder;
  TinyTrainer same(folder.path(), /*reference_seed=*/1, /*reference_is_base=*/true, 1e-3,
                   losses::Stabilizer::kCap, /*cached=*/true);
  // The model folder has no files to export: the run gets past its first step and ends there.
  EXPECT_THAT(same.run(ErrorKind::kModel), testing::Not(testing::StartsWith("[reference]")));
  const test::TemporaryFolder other_folder;
  TinyTrainer other(other_folder.path(), /*reference_seed=*/2, /*reference_is_base=*/true, 1e-3,
                    losses::Stabilizer::kCap, /*cached=*/true);
  EXPECT_THAT(other.run(ErrorKind::kModel),
              testing::StartsWith("[reference] policy and reference are the same folder"));
}

TEST(ShareSeen, GrowsOverTheFirstEpochAndStays) {
  EXPECT_EQ(share_seen({.epoch = 0, .step_in_epoch = 0}, 4), 0.25);
  EXPECT_EQ(share_seen({.epoch = 0, .step_in_epoch = 3}, 4), 1);
  EXPECT_EQ(share_seen({.epoch = 1, .step_in_epoch = 0}, 4), 1);
  EXPECT_EQ(share_seen({.epoch = 5, .step_in_epoch = 2}, 4), 1);
}

TEST(Trainer, NamesTheDataRowWhoseRawLossIsPastThePole) {
  const test::TemporaryFolder folder;
  TinyTrainer run(folder.path(), /*reference_seed=*/2, /*reference_is_base=*/false, 1e-3,
                  losses::Stabilizer::kNone);
  EXPECT_THAT(run.run(ErrorKind::kNonFinite), testing::AllOf(testing::HasSubstr("[objective.stabilizer]"),
                                                             testing::HasSubstr("(step 1, random:")));
}

}  // namespace
}  // namespace ddro::train
