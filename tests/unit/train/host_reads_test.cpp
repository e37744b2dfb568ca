// Where the host of a GPU would wait for it: operations that hand a tensor's numbers to the program. They are
// the same operations on the CPU, where LibTorch's hooks count them.
#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gmock/gmock.h>

#include <map>
#include <numeric>
#include <set>
#include <string>

#include "ddro/losses/objective.h"
#include "ddro/train/log_probs.h"
#include "ddro/train/parameters.h"
#include "ddro/train/step.h"
#include "support/tiny_model.h"

namespace ddro::train {
namespace {

// What waits wherever it appears.
const std::set<std::string> kReads = {
    "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal",   "aten::nonzero",
    "aten::masked_select",       "aten::_unique2",   "aten::bincount"};
// Of float32 logits, to float64: the head's values on their way to the loss.
const char* const kValues = "values";

using Counts = std::map<std::string, int>;
Counts* counting = nullptr;

bool is_copy_to_double(const at::RecordFunction& call) {
  const auto inputs = call.inputs();
  return std::string(call.name()) == "aten::_to_copy" && inputs[0].toTensor().scalar_type() == at::kFloat &&
         inputs[1].isInt() && inputs[1].toScalarType() == at::kDouble;
}

std::unique_ptr<at::ObserverContext> count_call(const at::RecordFunction& call) {
  if (kReads.contains(call.name())) ++(*counting)[call.name()];
  if (is_copy_to_double(call)) ++(*counting)[kValues];
  return nullptr;
}

// Of what `action` calls on this thread.
Counts counts_of(const std::function<void()>& action) {
  Counts counts;
  counting = &counts;
  const auto handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(count_call).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  action();
  at::removeCallback(handle);
  counting = nullptr;
  return counts;
}

models::ModelSpec spec_of(size_t layers) {
  models::ModelSpec spec = test::tiny_spec();
  spec.layers.resize(layers);
  return spec;
}

class HostReads : public testing::TestWithParam<size_t> {};

TEST_P(HostReads, OneAChunkOfTheHeadAndModelAndOneAStep) {
  const auto policy = test::tiny_model(spec_of(GetParam()), 1, at::kFloat, /*trainable=*/true);
  const auto reference = test::tiny_model(spec_of(GetParam()), 2, at::kFloat, /*trainable=*/false);
  const data::Dataset dataset = test::random_dataset(8, /*paired=*/true, 5);
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  const auto objective = losses::make_objective({}, 0.5);
  const ModelLogProbs log_probs(*reference);
  Parameters parameters(*policy, policy->parameters());
  for (const std::int64_t tokens : {1 << 20, 80}) {
    const data::StepPlan plan = data::plan_step(dataset, all, {.micro_batch_tokens = tokens});
    parameters.zero_gradients();
    const Counts of_step =
        counts_of([&] { compute_step(*policy, &log_probs, plan, plan.counts, *objective, parameters); });
    const auto num_micro_batches = static_cast<int>(plan.micro_batches.size());
    // On the CPU alone the head reads the least and the largest of its targets, to check them.
    EXPECT_EQ(of_step, (Counts{{"aten::_local_scalar_dense", 2 * 2 * num_micro_batches},
                               {kValues, 2 * num_micro_batches}}));
    EXPECT_EQ(counts_of([&] { parameters.gradient_norm(); }),
              (Counts{{"aten::_local_scalar_dense", 1}, {kValues, 1}}));
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, HostReads, testing::Values(1, 2));

}  // namespace
}  // namespace ddro::train
