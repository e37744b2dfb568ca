// DPO as TRL's DPOTrainer computes it on the same batch and models (tests/fixtures/make_trl_dpo.py).
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <numeric>

#include "ddro/base/json.h"
#include "ddro/losses/metrics.h"
#include "ddro/models/model_folder.h"
#include "ddro/train/step.h"
#include "support/fixtures.h"

namespace ddro::train {
namespace {

data::Dataset recorded_dataset(const Json& record) {
  data::Dataset dataset;
  for (const Json& pair : record["pairs"]) {
    data::EncodedExample example;
    example.row = static_cast<std::int64_t>(dataset.examples.size());
    for (const auto& [name, completion_class] : {std::pair{"chosen", data::CompletionClass::kChosen},
                                                 std::pair{"rejected", data::CompletionClass::kRejected}}) {
      data::EncodedSequence sequence;
      sequence.ids = pair[name].get<std::vector<text::TokenId>>();
      sequence.completion_start = pair["completion_start"];
      sequence.completion_class = completion_class;
      example.sequences.push_back(std::move(sequence));
    }
    dataset.examples.push_back(std::move(example));
    dataset.wheres.push_back("trl:" + std::to_string(dataset.examples.size()));
  }
  return dataset;
}

TEST(Dpo, LossRewardsAndGradientsEqualTrls) {
  const Json record = read_json_file(test::fixture("trl_dpo/batch.json").string(), ErrorKind::kInput);
  const data::Dataset dataset = recorded_dataset(record);
  const models::ModelFolder policy_folder = models::open_model_folder(test::fixture("trl_dpo/policy"));
  const models::ModelFolder reference_folder = models::open_model_folder(test::fixture("trl_dpo/reference"));
  const auto policy = models::make_causal_lm(policy_folder.spec, policy_folder.tensors, {});
  models::BuildOptions frozen;
  frozen.trainable = false;
  const auto reference = models::make_causal_lm(reference_folder.spec, reference_folder.tensors, frozen);
  losses::ObjectiveOptions options;
  options.loss_type = losses::LossType::kSigmoid;
  options.beta = 0.1;
  const auto objective = losses::make_objective(options, 0.5);

  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  const data::StepPlan plan = data::plan_step(dataset, all, {.micro_batch_tokens = 200});
  Parameters parameters(*policy, policy_folder.tensors);
  const ModelLogProbs live(*reference);
  parameters.zero_gradients();
  const BatchCounts counts = plan.counts;
  const StepResult result = compute_step(*policy, &live, plan, counts, *objective, parameters);

  EXPECT_NEAR(result.loss, record["loss"].get<double>(), 1e-5);
  const losses::Metrics metrics =
      losses::preference_metrics(result.completions, *objective, counts, result.loss);
  for (const auto& [name, value] : metrics) {
    if (!record["metrics"].contains(name)) continue;
    const double expected = record["metrics"][name];
    EXPECT_NEAR(value, expected, 1e-5 * std::max(1.0, std::fabs(expected))) << name;
  }
  const SafetensorsFile gradients(test::fixture("trl_dpo/gradients.safetensors"));
  size_t compared = 0;
  for (const auto& [name, parameter] : policy->parameters()) {
    const Tensor expected =
        tensor_from_view(gradients.tensors().at(name), gradients.mapping()).to(at::kDouble);
    const Tensor got = parameters.gradient(name).to(at::kDouble);
    EXPECT_LE((got - expected).norm().item<double>() / expected.norm().item<double>(), 1e-5) << name;
    ++compared;
  }
  EXPECT_EQ(compared, gradients.tensors().size());
}

}  // namespace
}  // namespace ddro::train
