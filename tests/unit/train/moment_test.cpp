// AdamW with moments in a short form.
#include "ddro/train/moment.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "ddro/train/memory_estimate.h"
#include "ddro/train/step.h"
#include "support/expect_error.h"
#include "support/tiny_model.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using test::Trained;

constexpr std::array<MomentDType, 2> kShortForms = {MomentDType::kBFloat16, MomentDType::kFloat8};
constexpr const char* kMatrix = "model.embed_tokens.weight";

// Both parameters are of more than one block.
class Model : public test::TwoParameters {
 public:
  explicit Model(at::ScalarType dtype = at::kFloat) : TwoParameters(dtype, 300) {}
};

OptimizerOptions options(MomentDType moment_dtype) {
  OptimizerOptions options;
  options.weight_decay = 0.1;
  options.adam_beta2 = 0.95;
  options.moment_dtype = moment_dtype;
  return options;
}

Tensor tensor_of(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
  }
  ADD_FAILURE() << name << " is missing";
  return {};
}

NamedTensors state_of(const Trained& trained) { return test::own_tensors(trained.optimizer.state()); }

// The numbers that a state's moment stands for, from its bits alone.
std::vector<double> stored_numbers(const NamedTensors& state, const std::string& prefix,
                                   const std::string& name) {
  const Tensor stored = tensor_of(state, prefix + "." + name).flatten();
  std::vector<double> numbers;
  for (std::int64_t i = 0; i < stored.numel(); ++i) {
    if (stored.scalar_type() != at::kByte) {
      numbers.push_back(stored[i].item<double>());
      continue;
    }
    const int field = tensor_of(state, prefix + "_exponents." + name)[i / 256].item<int>();
    const int code = stored[i].item<int>();
    const bool is_first = prefix == "exp_avg";
    const int magnitude = is_first ? code % 128 : code;
    const int power = std::max(magnitude / 8, 1) - (is_first ? 15 : 31);
    const double value =
        (magnitude >= 8 ? 1 + magnitude % 8 / 8.0 : magnitude / 8.0) * std::exp2(power + field - 127);
    numbers.push_back(is_first && code >= 128 ? -value : value);
  }
  return numbers;
}

void add_gradients(Parameters& parameters, int step) {
  parameters.zero_gradients();
  for (const auto& [name, master] : parameters.masters()) {
    const Tensor wave = at::sin(at::arange(master.numel(), at::kDouble) * 0.7 + step);
    parameters.gradient(name).add_(wave.reshape(master.sizes()));
  }
}

// Each step against the scalar definition, from the moments that the step before has stored. What is stored
// then lies within one spacing of the form, 2^-7 or 2^-3 of the number, of the exact moment; numbers far
// below the largest of their block are coarser.
TEST(ShortMoments, FollowTheScalarDefinition) {
  for (const MomentDType form : kShortForms) {
    const double spacing = form == MomentDType::kBFloat16 ? 0x1p-7 : 0x1p-3;
    Model model;
    Trained trained(model, model.parameters(), options(form));
    for (int t = 1; t <= 6; ++t) {
      add_gradients(trained.parameters, t);
      NamedTensors before;
      for (const auto& [name, master] : trained.parameters.masters())
        before.emplace_back(name, master.clone());
      NamedTensors state_before;
      for (const auto& [name, tensor] : state_of(trained)) state_before.emplace_back(name, tensor.clone());
      trained.optimizer.step(1e-2, 1.0);
      for (const auto& [name, master] : trained.parameters.masters()) {
        const std::vector<double> m = stored_numbers(state_before, "exp_avg", name);
        const std::vector<double> v = stored_numbers(state_before, "exp_avg_sq", name);
        const std::vector<double> m_after = stored_numbers(state_of(trained), "exp_avg", name);
        const std::vector<double> v_after = stored_numbers(state_of(trained), "exp_avg_sq", name);
        const Tensor old = tensor_of(before, name).flatten(), now = master.flatten();
        const Tensor gradient = trained.parameters.gradient(name).flatten();
        for (std::int64_t i = 0; i < old.numel(); ++i) {
          const auto k = static_cast<size_t>(i);
          const double g = gradient[i].item<double>();
          const double first = 0.9 * m[k] + 0.1 * g, second = 0.95 * v[k] + 0.05 * g * g;
          const double decayed = old[i].item<double>() * (name == kMatrix ? 1 - 1e-2 * 0.1 : 1);
          const double expected = decayed - 1e-2 * (first / (1 - std::pow(0.9, t))) /
                                                (std::sqrt(second / (1 - std::pow(0.95, t))) + 1e-8);
          ASSERT_NEAR(now[i].item<double>(), expected, 2e-6) << name << " " << i << " step " << t;
          ASSERT_NEAR(m_after[k], first, spacing * std::fabs(first) + 1e-5) << name << " " << i;
          ASSERT_NEAR(v_after[k], second, spacing * second + 1e-9) << name << " " << i;
        }
      }
    }
  }
}

// Gradients fall from 1 to 0.1; with beta2 = 0.999 an update changes a second moment by at most a thousandth,
// which rounding to nearest loses in either form, so that the moments would stay at 1.
TEST(ShortMoments, SecondMomentsFollowSlowlyFallingGradients) {
  for (const MomentDType form : kShortForms) {
    Model model;
    OptimizerOptions slow = options(form);
    slow.adam_beta2 = 0.999;
    Trained trained(model, model.parameters(), slow);
    double exact = 0;
    for (int t = 0; t < 1500; ++t) {
      const double gradient = t < 300 ? 1.0 : 0.1;
      exact = 0.999 * exact + 0.001 * gradient * gradient;
      trained.parameters.zero_gradients();
      trained.parameters.gradient(kMatrix).fill_(gradient);
      trained.optimizer.step(1e-6, 1.0);
    }
    double sum = 0, squares = 0;
    const std::vector<double> numbers = stored_numbers(state_of(trained), "exp_avg_sq", kMatrix);
    for (const double v : numbers) {
      sum += v;
      squares += (v - exact) * (v - exact);
    }
    const auto count = static_cast<double>(numbers.size());
    EXPECT_NEAR(sum / count, exact, 0.05 * exact);
    EXPECT_LT(std::sqrt(squares / count), (form == MomentDType::kBFloat16 ? 0.1 : 0.5) * exact);
  }
}

// An old spike in a block hides its other second moments, not its first ones. When their gradient is 0 for a
// step, the update must not become first moment / adam_epsilon.
TEST(ShortMoments, ASecondMomentTooSmallForItsBlockMakesNoLargeUpdate) {
  Model model;
  Trained trained(model, model.parameters(), options(MomentDType::kFloat8));
  const auto step = [&](double spike, double others) {
    trained.parameters.zero_gradients();
    trained.parameters.gradient(kMatrix).fill_(others);
    trained.parameters.gradient(kMatrix)[0][0] = spike;
    trained.optimizer.step(1e-3, 1.0);
  };
  step(1e3, 0);
  for (int t = 0; t < 60; ++t) step(0, 1e-4);
  const Tensor before = model.head_weight().detach().clone();
  step(0, 0);
  const Tensor change = (model.head_weight().detach() - before * (1 - 1e-3 * 0.1)).abs();
  EXPECT_GT(change[0][1].item<double>(), 1e-5);
  EXPECT_LT(change.max().item<double>(), 4e-3);
}

TEST(ShortMoments, RestoredStateGoesOnWithTheSameBits) {
  for (const MomentDType form : kShortForms) {
    Model one, other;
    Trained straight(one, one.parameters(), options(form));
    Trained resumed(other, other.parameters(), options(form));
    for (int t = 1; t <= 3; ++t) {
      add_gradients(straight.parameters, t);
      straight.optimizer.step(1e-2, 1.0);
    }
    resumed.parameters.load_masters(straight.parameters.masters(), "test");
    resumed.optimizer.load(state_of(straight), "test");
    for (Trained* trained : {&straight, &resumed}) {
      add_gradients(trained->parameters, 4);
      trained->optimizer.step(1e-2, 1.0);
    }
    const NamedTensors expected = state_of(straight), got = state_of(resumed);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(at::equal(got[i].second, expected[i].second)) << expected[i].first;
    EXPECT_TRUE(at::equal(one.head_weight(), other.head_weight()));
  }
}

TEST(ShortMoments, AreConvertedFromAnyOtherForm) {
  const std::array<MomentDType, 3> forms = {MomentDType::kFloat32, MomentDType::kBFloat16,
                                            MomentDType::kFloat8};
  for (const MomentDType from : forms) {
    Model one;
    Trained before(one, one.parameters(), options(from));
    for (int t = 1; t <= 3; ++t) {
      add_gradients(before.parameters, t);
      before.optimizer.step(1e-2, 1.0);
    }
    for (const MomentDType to : forms) {
      Model other;
      Trained after(other, other.parameters(), options(to));
      after.optimizer.load(state_of(before), "test");
      for (const char* prefix : {"exp_avg", "exp_avg_sq"}) {
        const std::vector<double> expected = stored_numbers(state_of(before), prefix, kMatrix);
        const std::vector<double> got = stored_numbers(state_of(after), prefix, kMatrix);
        const double spacing = to == MomentDType::kFloat8 ? 0x1p-3 : 0x1p-7;
        for (size_t i = 0; i < expected.size(); ++i)
          ASSERT_NEAR(got[i], expected[i], spacing * std::fabs(expected[i]) + 1e-5) << prefix << " " << i;
        // A shorter form's numbers are all of a longer one's.
        if (to <= from) {
          EXPECT_EQ(got, expected) << prefix;
        }
      }
    }
  }
}

TEST(ShortMoments, RefuseForeignState) {
  Model model;
  Trained trained(model, model.parameters(), options(MomentDType::kFloat8));
  const auto refused = [&](const NamedTensors& state) {
    return ddro::test::message_of(ErrorKind::kModel, [&] { trained.optimizer.load(state, "there"); });
  };
  NamedTensors state = state_of(trained);
  const auto exponents = std::find_if(state.begin(), state.end(), [](const auto& entry) {
    return entry.first == std::string("exp_avg_exponents.") + kMatrix;
  });
  ASSERT_NE(exponents, state.end());
  exponents->second = at::zeros({3}, at::kByte);
  EXPECT_THAT(refused(state), ::testing::HasSubstr("another shape or type"));
  exponents->first = "else";
  EXPECT_THAT(refused(state),
              ::testing::HasSubstr("\"exp_avg_exponents.model.embed_tokens.weight\" is missing"));
  state = state_of(trained);
  state.emplace_back("exp_avg.more", at::zeros({3}));
  EXPECT_THAT(refused(state), ::testing::HasSubstr("[there] holds more tensors"));
}

TEST(ShortMoments, ThatAreNotFiniteAreNamed) {
  for (const MomentDType form : kShortForms) {
    Model model;
    Trained trained(model, model.parameters(), options(form));
    trained.parameters.zero_gradients();
    trained.optimizer.step(1e-3, 1.0);
    EXPECT_EQ(test::first_non_finite(state_of(trained)), "");
    trained.parameters.gradient("model.norm.weight")[299] = 1e25F;  // its square is past float32's end
    trained.optimizer.step(0, 1.0);
    const std::string part = form == MomentDType::kFloat8 ? "exp_avg_sq_exponents" : "exp_avg_sq";
    EXPECT_EQ(test::first_non_finite(state_of(trained)), part + ".model.norm.weight");
  }
}

TEST(ShortMoments, AreOfFloat32Masters) {
  Model model(at::kDouble);
  EXPECT_THAT(
      ddro::test::message_of(ErrorKind::kInternal,
                             [&] { Trained(model, model.parameters(), options(MomentDType::kBFloat16)); }),
      ::testing::HasSubstr("float32 masters"));
}

// The loss after some steps on the same pairs falls as with float32 moments.
TEST(ShortMoments, TrainAsFloat32Does) {
  const models::ModelSpec spec = test::tiny_spec();
  const data::Dataset dataset = test::random_dataset(12, /*paired=*/true, 5);
  const std::vector<std::int64_t> examples = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const data::StepPlan plan = data::plan_step(dataset, examples, {.micro_batch_tokens = 256});
  const auto objective = losses::make_objective({}, 0.5);
  const auto reference_model = test::tiny_model(spec, 1, at::kFloat, /*trainable=*/false);
  const ModelLogProbs reference(*reference_model);
  const auto curve = [&](MomentDType form) {
    const auto policy = test::tiny_model(spec, 1, at::kFloat, /*trainable=*/true);
    Trained trained(*policy, policy->parameters(), options(form));
    std::vector<double> losses;
    for (int t = 0; t < 40; ++t) {
      trained.parameters.zero_gradients();
      losses.push_back(
          compute_step(*policy, &reference, plan, plan.counts, *objective, trained.parameters).loss);
      const double norm = trained.parameters.gradient_norm();
      trained.optimizer.step(1e-3, norm > 1 ? 1 / norm : 1.0);
    }
    return losses;
  };
  const std::vector<double> expected = curve(MomentDType::kFloat32);
  const double fallen = expected.front() - expected.back();
  ASSERT_GT(fallen, 0.5);
  for (const MomentDType form : kShortForms) {
    const std::vector<double> got = curve(form);
    for (size_t t = 0; t < got.size(); ++t) EXPECT_NEAR(got[t], expected[t], 0.05 * fallen) << t;
  }
}

TEST(MemoryEstimate, CountsWhatMomentsTake) {
  constexpr std::int64_t kMillion = 1000000;
  EXPECT_EQ(weight_bytes(kMillion, at::kFloat, MomentDType::kFloat32, false), 16e6);
  EXPECT_EQ(weight_bytes(kMillion, at::kFloat, MomentDType::kBFloat16, true), 16e6);
  EXPECT_EQ(weight_bytes(kMillion, at::kBFloat16, MomentDType::kBFloat16, false), 14e6);
  EXPECT_EQ(weight_bytes(256 * kMillion, at::kFloat, MomentDType::kFloat8, false), 256 * 10e6 + 2e6);
  EXPECT_EQ(weight_bytes(kMillion, at::kDouble, MomentDType::kFloat32, false), 32e6);
  EXPECT_EQ(checkpoint_bytes(kMillion, at::kBFloat16, MomentDType::kFloat32), 12e6);
  EXPECT_EQ(checkpoint_bytes(kMillion, at::kFloat, MomentDType::kBFloat16), 8e6);
  // As allocated.
  for (const MomentDType form : {MomentDType::kFloat32, MomentDType::kBFloat16, MomentDType::kFloat8}) {
    const Moment moment(Moment::Kind::kFirst, form, {64, 256}, at::TensorOptions().dtype(at::kFloat));
    size_t bytes = 0;
    for (const auto& [name, tensor] : moment.tensors("exp_avg", "w")) bytes += tensor.nbytes();
    EXPECT_EQ(static_cast<double>(bytes), 64 * 256 * moment_bytes(form, 4));
  }
}

}  // namespace
}  // namespace ddro::train
