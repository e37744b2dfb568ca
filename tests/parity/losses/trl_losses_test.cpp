// Losses and gradients against TRL's trainers on the same log-probabilities
// (tests/fixtures/make_trl_losses.py).
#include <gmock/gmock.h>

#include <cmath>
#include <string>

#include "ddro/base/json.h"
#include "ddro/config/run_config.h"
#include "support/fixtures.h"
#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

ObjectiveOptions options_of_case(const Json& recorded) {
  std::vector<std::string> overrides;
  for (const auto& [key, value] : recorded["options"].items()) {
    overrides.push_back("objective." + key + "=" +
                        (value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return config::load_objective(overrides);
}

std::vector<ScoredCompletion> rows_of_case(const Json& recorded) {
  std::vector<ScoredCompletion> completions = paired(recorded["chosen_logp"], recorded["rejected_logp"]);
  for (size_t i = 0; i < completions.size(); ++i) {
    const std::string side = i % 2 == 0 ? "chosen" : "rejected";
    completions[i].ref_logp = recorded["ref_" + side + "_logp"][i / 2];
    completions[i].num_tokens = recorded[side + "_tokens"][i / 2];
  }
  return completions;
}

void expect_same(const Json& recorded) {
  const ObjectiveOptions options = options_of_case(recorded);
  // Its running mean is a float32.
  const double tolerance = options.loss_type == LossType::kBco ? 1e-7 : 1e-12;
  const std::vector<ScoredCompletion> completions = rows_of_case(recorded);
  BatchCounts counts = batch_counts(completions);
  if (recorded.contains("kl_logp")) counts.kl = std::max(0.0, recorded["kl_logp"].get<double>());
  const Evaluation got = evaluate(*make_objective(options, 0.5), completions, counts);
  const auto near = [&](double value, double expected) {
    EXPECT_NEAR(value, expected, tolerance * std::max(1.0, std::abs(expected)));
  };
  near(got.loss, recorded["loss"]);
  for (size_t i = 0; i < completions.size(); ++i) {
    const char* side = i % 2 == 0 ? "d_chosen_logp" : "d_rejected_logp";
    near(got.slope[i], recorded[side][i / 2]);
  }
}

TEST(TrlLosses, ValuesAndGradientsAgree) {
  const Json cases = read_json_file(test::fixture("trl_losses/losses.json").string(), ErrorKind::kInput);
  ASSERT_EQ(cases.size(), 44u);
  for (const Json& one : cases) {
    SCOPED_TRACE(one["options"].dump());
    expect_same(one);
  }
}

}  // namespace
}  // namespace ddro::losses
