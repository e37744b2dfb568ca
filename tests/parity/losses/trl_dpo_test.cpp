// The sigmoid loss and its metrics against TRL's DPOTrainer, as recorded in tests/golden/trl_dpo.json.
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <map>

#include "ddro/base/json.h"
#include "ddro/losses/metrics.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

void expect_same(const Json& recorded) {
  ObjectiveOptions options = options_of(LossType::kSigmoid);
  options.beta = recorded["beta"];
  const auto objective = make_objective(options, 0.5);
  std::vector<ScoredCompletion> completions = paired(recorded["chosen_logps"], recorded["rejected_logps"]);
  const size_t num_pairs = completions.size() / 2;
  for (size_t i = 0; i < num_pairs; ++i) {
    completions[2 * i].ref_logp = recorded["ref_chosen_logps"][i];
    completions[2 * i + 1].ref_logp = recorded["ref_rejected_logps"][i];
  }
  const Evaluation got = evaluate(*objective, completions);
  const auto near = [](double value, double expected) {
    EXPECT_NEAR(value, expected, 1e-12 * std::max(1.0, std::abs(expected)));
  };
  near(got.loss, recorded["loss"]);
  for (size_t i = 0; i < num_pairs; ++i) {
    const double pair = got.completion_loss[2 * i] + got.completion_loss[2 * i + 1];
    near(pair * static_cast<double>(num_pairs), recorded["losses"][i]);
    near(got.slope[2 * i], recorded["d_chosen"][i]);
    near(got.slope[2 * i + 1], recorded["d_rejected"][i]);
  }
  const Metrics list = preference_metrics(completions, *objective, batch_counts(completions), got.loss);
  const std::map<std::string, double> metrics(list.begin(), list.end());
  for (const char* name : {"rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins"}) {
    SCOPED_TRACE(name);
    near(metrics.at(name), recorded[name]);
  }
}

TEST(TrlDpo, LossGradientsAndRewardsAgree) {
  const char* root = std::getenv("DDRO_SOURCE_DIR");
  ASSERT_NE(root, nullptr) << "run the tests with ctest, or set DDRO_SOURCE_DIR";
  const Json recorded = read_json_file(std::string(root) + "/tests/golden/trl_dpo.json", ErrorKind::kInput);
  ASSERT_EQ(recorded["cases"].size(), 4u);
  for (const Json& one : recorded["cases"]) expect_same(one);
}

}  // namespace
}  // namespace ddro::losses
