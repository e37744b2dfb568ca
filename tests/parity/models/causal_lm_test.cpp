// Our forward and backward against Hugging Face transformers, and against themselves however the tokens are
// packed.
#include "ddro/models/causal_lm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <set>
#include <sstream>

#include "ddro/models/model_config.h"
#include "parity/models/outcome.h"

namespace ddro::test {
namespace {

std::unique_ptr<models::CausalLm> load(const std::string& name, at::ScalarType dtype,
                                       bool checkpointing = false) {
  const models::ModelFolder folder = models::open_model_folder(model_fixture(name));
  return models::make_causal_lm(folder.spec, folder.tensors,
                                {.dtype = dtype, .trainable = true, .gradient_checkpointing = checkpointing});
}

std::vector<Packed> all_packed(const std::vector<Sequence>& sequences) {
  std::vector<Packed> batches(1);
  for (const Sequence& tokens : sequences) batches[0].add_whole(tokens);
  return batches;
}

// Of the largest gradient. A smaller one is compared at this size: that of key biases without a rotary
// embedding is zero, and rounding all that there is of it.
constexpr double kSmallShare = 1e-2;

double largest_norm(const std::map<std::string, Tensor>& gradients) {
  double largest = 0;
  for (const auto& [name, gradient] : gradients) largest = std::max(largest, gradient.norm().item<double>());
  return largest;
}

// For scripts/parity, which reads what the tests record.
void record(const char* what, double largest_error) {
  std::ostringstream text;
  text << largest_error;
  testing::Test::RecordProperty(what, text.str());
}

// `rounded`, if any, is what `expected` becomes by rounding: three times as far is near as well.
void expect_near(const Outcome& got, const Outcome& expected, double tolerance,
                 const Outcome* rounded = nullptr) {
  double of_logits = 0, of_gradients = 0;
  ASSERT_EQ(got.logits.size(), expected.logits.size());
  for (size_t i = 0; i < got.logits.size(); ++i) {
    const double error = relative_error(got.logits[i], expected.logits[i]);
    const double of_rounding = rounded ? relative_error(rounded->logits[i], expected.logits[i]) : 0;
    EXPECT_LE(error, std::max(tolerance, 3 * of_rounding)) << "logits of sequence " << i;
    of_logits = std::max(of_logits, error);
  }
  ASSERT_EQ(got.gradients.size(), expected.gradients.size());
  const double floor = kSmallShare * largest_norm(expected.gradients);
  for (const auto& [name, gradient] : expected.gradients) {
    const double norm = std::max(floor, gradient.norm().item<double>());
    const auto error_of = [&](const Outcome& outcome) {
      return (outcome.gradients.at(name) - gradient).norm().item<double>() / norm;
    };
    const double error = error_of(got);
    EXPECT_LE(error, std::max(tolerance, rounded ? 3 * error_of(*rounded) : 0)) << "gradient of " << name;
    of_gradients = std::max(of_gradients, error);
  }
  record("logits", of_logits);
  record("gradients", of_gradients);
}

class CausalLmParity : public testing::TestWithParam<std::string> {};

TEST_P(CausalLmParity, EqualsTransformersInFloat64) {
  const Expected expected = read_expected(GetParam());
  expect_near(run(*load(GetParam(), at::kDouble), one_by_one(expected.sequences)),
              expected_run(expected, "float64"), 1e-10);
}

TEST_P(CausalLmParity, EqualsTransformersInFloat32) {
  const Expected expected = read_expected(GetParam());
  const Outcome rounded = expected_run(expected, "float32");
  expect_near(run(*load(GetParam(), at::kFloat), one_by_one(expected.sequences)),
              expected_run(expected, "float64"), 1e-5, &rounded);
}

TEST_P(CausalLmParity, PackingAndSharingChangeNothing) {
  const Expected expected = read_expected(GetParam());
  for (const auto& [dtype, tolerance] : {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 5e-6)}) {
    const Outcome alone = run(*load(GetParam(), dtype), one_by_one(expected.sequences));
    expect_near(run(*load(GetParam(), dtype), all_packed(expected.sequences)), alone, tolerance);
    expect_near(run(*load(GetParam(), dtype), sharing_prefix(expected.sequences)), alone, tolerance);
  }
}

TEST_P(CausalLmParity, RecomputationIsExact) {
  const Expected expected = read_expected(GetParam());
  const auto batches = sharing_prefix(expected.sequences);
  const Outcome stored = run(*load(GetParam(), at::kFloat), batches);
  expect_same_bits(run(*load(GetParam(), at::kFloat, /*checkpointing=*/true), batches), stored);
}

TEST_P(CausalLmParity, EqualsItselfOnTheGpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  const models::ModelFolder folder = models::open_model_folder(model_fixture(GetParam()));
  const Packed batch = sharing_prefix(read_sequences(model_fixture(GetParam() + ".expected")))[0];
  const auto reference = logits_of(*load(GetParam(), at::kDouble), batch);
  for (const auto& [dtype, tolerance] : {std::pair(at::kFloat, 1e-4), std::pair(at::kBFloat16, 5e-2)}) {
    const auto model =
        models::make_causal_lm(folder.spec, folder.tensors, {.device = at::kCUDA, .dtype = dtype});
    const auto logits = logits_of(*model, batch, at::kCUDA);
    for (size_t i = 0; i < logits.size(); ++i) EXPECT_LE(relative_error(logits[i], reference[i]), tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CausalLmParity, testing::ValuesIn(kModelFixtures),
                         [](const auto& each) { return each.param; });

// By its name `inspect families` finds its tests.
TEST(CausalLmParityOfAll, EveryFamilyHasAFixtureOfItsName) {
  std::set<std::string> missing;
  for (const models::KnownFamily& family : models::known_families()) missing.insert(family.model_type);
  for (const std::string& name : kModelFixtures) {
    const std::string family = models::open_model_folder(model_fixture(name)).spec.model_type;
    EXPECT_TRUE(name == family || name.starts_with(family + "_")) << name;
    missing.erase(family);
  }
  EXPECT_TRUE(missing.empty()) << "the first without: " << *missing.begin();
}

TEST(SmolLm2Parity, LogProbabilitiesOfCompletions) {
  const Json rows =
      read_json_file((model_fixture("smollm2") / "expected.json").string(), ErrorKind::kInput)["rows"];
  const models::ModelFolder folder =
      models::open_model_folder(environment_path("DDRO_SOURCE_DIR") / "models" / "SmolLM2-135M-Instruct");
  const auto model = models::make_causal_lm(folder.spec, folder.tensors, {.trainable = false});
  Packed batch;
  for (const Json& row : rows) {
    Sequence tokens = row["prompt"];
    const Sequence completion = row["completion"];
    tokens.insert(tokens.end(), completion.begin(), completion.end());
    batch.add_whole(tokens);
  }
  const at::NoGradGuard no_grad;
  const auto logits = logits_of(*model, batch);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto prompt = static_cast<std::int64_t>(rows[i]["prompt"].size());
    const Tensor targets = at::tensor(rows[i]["completion"].get<Sequence>(), at::kLong).unsqueeze(1);
    const Tensor logp = at::log_softmax(logits[i].narrow(0, prompt - 1, targets.size(0)).to(at::kDouble), -1);
    EXPECT_NEAR(logp.gather(1, targets).sum().item<double>(), rows[i]["logp"].get<double>(), 1e-3);
  }
}

}  // namespace
}  // namespace ddro::test
