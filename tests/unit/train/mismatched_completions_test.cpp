#include "ddro/train/mismatched_completions.h"

#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/losses/metrics.h"
#include "ddro/train/evaluation.h"
#include "support/tiny_model.h"

namespace ddro::train {
namespace {

class Mismatched : public testing::Test {
 protected:
  MismatchedCompletions completions(const data::Dataset& dataset,
                                    const std::vector<std::int64_t>& examples) const {
    return {dataset, examples, policy_->spec(), {.micro_batch_tokens = 40}};
  }

  std::unique_ptr<models::CausalLm> policy_ = test::tiny_model(test::tiny_spec(), 1, at::kDouble, false);
  std::unique_ptr<models::CausalLm> reference_ = test::tiny_model(test::tiny_spec(), 2, at::kDouble, false);
  data::Dataset dataset_ = test::random_dataset(4, /*paired=*/false, 5);
};

TEST_F(Mismatched, OfEqualModelsIsZero) {
  MismatchedCompletions some = completions(dataset_, {0, 1, 2});
  EXPECT_EQ(some.kl(*policy_, ModelLogProbs(*policy_), [] { return false; }), 0.0);
}

TEST_F(Mismatched, OneExampleHasNoReferencePoint) {
  MismatchedCompletions one = completions(dataset_, {3});
  EXPECT_EQ(one.kl(*policy_, ModelLogProbs(*reference_), [] { return false; }), 0.0);
  // The first call was the one that has a model.
  EXPECT_EQ(one.kl(*policy_, LogProbTable(dataset_, std::vector<double>(8, -1.0)), [] { return false; }),
            0.0);
}

TEST_F(Mismatched, NeedAModelLogProbs) {
  MismatchedCompletions some = completions(dataset_, {0, 1, 2});
  const LogProbTable table(dataset_, std::vector<double>(8, -1.0));
  EXPECT_THROW(some.kl(*policy_, table, [] { return false; }), Error);
}

TEST_F(Mismatched, StopsBetweenMicroBatchesAndGoesOn) {
  MismatchedCompletions all = completions(dataset_, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(all.kl(*policy_, ModelLogProbs(*reference_), [] { return true; }), std::nullopt);
  int calls = 0;
  EXPECT_EQ(all.kl(*policy_, ModelLogProbs(*reference_), [&] { return ++calls > 2; }), std::nullopt);
  MismatchedCompletions undisturbed = completions(dataset_, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(all.kl(*policy_, ModelLogProbs(*reference_), [] { return false; }),
            undisturbed.kl(*policy_, ModelLogProbs(*reference_), [] { return false; }));
}

TEST_F(Mismatched, AnEvaluationSetHasItsOwnReferencePoint) {
  losses::ObjectiveOptions options;
  options.loss_type = losses::LossType::kKto;
  const auto kto = losses::make_objective(options, 0.5);
  EvaluationSet set("held_out", dataset_, {.micro_batch_tokens = 40},
                    std::make_shared<ModelLogProbs>(*reference_));
  const auto metrics = set.evaluate(*policy_, *kto, [] { return false; });
  MismatchedCompletions all = completions(dataset_, {0, 1, 2, 3, 4, 5, 6, 7});
  const std::pair<std::string, double> expected = {
      "kl", *all.kl(*policy_, ModelLogProbs(*reference_), [] { return false; })};
  EXPECT_EQ(metrics->metrics.back(), expected);
  // The second time the reference's values are those that were kept.
  EXPECT_EQ(set.evaluate(*policy_, *kto, [] { return false; })->metrics.back(), expected);
}

}  // namespace
}  // namespace ddro::train
