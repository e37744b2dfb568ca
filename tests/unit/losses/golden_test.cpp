// Values of the losses against numbers made elsewhere: the tables of docs/objectives.md to the digits
// printed, and the file of high-precision terms.
#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "unit/losses/loss_testing.h"

namespace ddro::losses {
namespace {

constexpr double kDigits = 6e-12;  // the tables print twelve

struct TableRow {
  double l, preferred, unpreferred;
};

void expect_terms(const Objective& objective, const std::vector<TableRow>& table) {
  for (const auto& [l, preferred, unpreferred] : table) {
    SCOPED_TRACE(l);
    const Evaluation got = evaluate(objective, unpaired({l}, {l}));
    EXPECT_NEAR(got.completion_loss[0], preferred, kDigits * std::max(1.0, std::abs(preferred)));
    EXPECT_NEAR(got.completion_loss[1], unpreferred, kDigits * std::max(1.0, std::abs(unpreferred)));
  }
}

void expect_ddro(Generator generator, double alpha, double max_weight, const std::vector<TableRow>& table) {
  expect_terms(*make_objective(ddro_options(generator, alpha, max_weight), 0.5), table);
}

TEST(Golden, DdroLogisticAlphaHalf) {
  expect_ddro(Generator::kLogistic, 0.5, 1000,
              {{-5.00, 5.69314718056, 0.00337466126899},
               {-1.00, 1.69314718056, 0.203267054915},
               {0.00, 0.69314718056, 0.69314718056},
               {0.30, 0.39314718056, 1.12371290113},
               {0.50, 0.19314718056, 1.73932245064},
               {0.65, 0.0431471805599, 3.16463422555},
               {2.00, -1.30685281944, 1314.76107455},
               {10.00, -9.30685281944, 9314.76107455}});
}

TEST(Golden, DdroLogisticAlphaBelowHalf) {
  expect_ddro(Generator::kLogistic, 0.39, 1000,
              {{-5.00, 5.49577757256, 0.0041125088009},
               {-1.00, 1.57212132024, 0.23269441555},
               {0.00, 0.69314718056, 0.69314718056},
               {0.30, 0.454326277492, 1.00751703514},
               {0.50, 0.303778055247, 1.3395048597},
               {0.65, 0.195951977845, 1.7262622789},
               {2.00, -0.676920513793, 1067.12849842},
               {10.00, -5.79351809894, 9070.01190083}});
}

TEST(Golden, DdroLogisticAlphaAboveHalf) {
  expect_ddro(Generator::kLogistic, 0.7, 20,
              {{-5.00, 6.20127398699, 0.00202890364802},
               {-1.00, 2.04479912445, 0.13857975063},
               {0.00, 0.69314718056, 0.69314718056},
               {0.30, 0.127566783311, 2.12222069091},
               {0.50, -0.3111584708, 5.87169556721},
               {0.65, -0.640262948412, 8.6925910896},
               {2.00, -3.60220324692, 34.0806507911},
               {10.00, -21.1544420529, 184.528411985}});
}

TEST(Golden, DdroOtherGenerators) {
  expect_ddro(Generator::kKl, 0.39, 10,
              {{-1, 1.33942690469, 0.261995774113},
               {0.3, -0.553190757648, 1.73879224065},
               {2, -15.4406153504, 214.136871898}});
  expect_ddro(Generator::kLsif, 0.39, 10,
              {{-1, -0.261995774113, 0.0343208928265},
               {0.3, -1.73879224065, 1.51169922807},
               {2, -214.136871898, 3226.9994625}});
  expect_ddro(Generator::kBasu, 0.39, 10,
              {{-1, 0.464434316932, 0.134103906612},
               {0.3, -1.95589814907, 2.29282833547},
               {2, -85.1499006597, 1239.39727029}});
}

TEST(Golden, Rdro) {
  expect_terms(*make_objective(options_of(LossType::kRdro, 0.39), 0.5),
               {{-5.00, 5.0093343344, 0.00409636257836},
                {-1.00, 1.43543374565, 0.191089629386},
                {0.00, 0.963474580978, 0.422819780142},
                {0.30, 0.887553789811, 0.521156699126},
                {0.50, 0.85396700801, 0.59418696035},
                {0.65, 0.837376916627, 0.652733754779},
                {2.00, 0.95642993535, 1.29742608674},
                {10.00, 3.90006310447, 6.10002769333}});
}

// Summing the class means of completions, or pooling them.
TEST(Golden, RdroReductions) {
  ObjectiveOptions options = options_of(LossType::kRdro, 0.39);
  const auto class_mean = make_objective(options, 0.5);
  options.class_reduction = ClassReduction::kPooled;
  const auto pooled = make_objective(options, 0.5);
  const std::vector<ScoredCompletion> six = unpaired({1, 0.5, -2.25}, {-0.5, 1.5, -5});
  EXPECT_NEAR(evaluate(*class_mean, six).loss, 1.79994443, 6e-9);
  EXPECT_NEAR(evaluate(*pooled, six).loss, 0.89997222, 6e-9);
  const std::vector<ScoredCompletion> five = unpaired({1, 0.5, -2.25}, {-0.5, 1.5});
  EXPECT_NEAR(evaluate(*class_mean, five).loss, 2.01975382, 6e-9);
  EXPECT_NEAR(evaluate(*pooled, five).loss, 1.07914739, 6e-9);
  const std::vector<double> values = {0.82543375, 0.85396701, 2.38928712, 0.28918696, 1.03786210, 0.00409636};
  const Evaluation completions = evaluate(*pooled, six);
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(6 * completions.completion_loss[i], values[i], 6e-9);
}

// Below the ceiling the terms of the cap; beyond it, at 0.94, the preferred one stays as it is there.
TEST(Golden, Ceiling) {
  const auto ceiling = [](Generator generator) {
    return make_objective(ddro_options(generator, 0.39, 10, Stabilizer::kCeiling), 0.5);
  };
  expect_terms(*ceiling(Generator::kLogistic), {{-1, 1.57212132024, 0.23269441555},
                                                {0.3, 0.454326277492, 1.00751703514},
                                                {0.9, 0.0264760653352, 3.36709141578},
                                                {2, -0.0010278847407, 14.7399727717},
                                                {10, -0.0010278847407, 97.4518371785}});
  expect_terms(*ceiling(Generator::kKl), {{-1, 1.33942690469, 0.261995774113},
                                          {0.3, -0.553190757648, 1.73879224065},
                                          {0.9, -3.34061535044, 24.880461642},
                                          {2, -3.79830928889, 214.136871898},
                                          {10, -3.79830928889, 1590.54712831}});
  const Evaluation beyond = evaluate(*ceiling(Generator::kLogistic), unpaired({2}, {2}));
  EXPECT_EQ(beyond.slope[0], 0);
  EXPECT_NEAR(beyond.slope[1], 10.3389830508, 6e-11);
}

TEST(Golden, Nnbd) {
  const auto nnbd = make_objective(ddro_options(Generator::kLogistic, 0.39, 10, Stabilizer::kNnbd), 0.5);
  EXPECT_NEAR(evaluate(*nnbd, unpaired({-1, 0.3}, {-1, 0})).loss, 1.47614459692, kDigits);
  EXPECT_NEAR(evaluate(*nnbd, unpaired({0.5, 2}, {-5, -1})).loss, 0.315583826474, kDigits);
}

TEST(Golden, Sigmoid) {
  const auto sigmoid = make_objective(options_of(LossType::kSigmoid), 0.5);
  std::vector<ScoredCompletion> completions = paired({-12, -35.5, -80.25}, {-14, -30, -95});
  const std::vector<double> reference = {-13, -13.5, -36, -31.5, -78, -90};
  for (size_t i = 0; i < 6; ++i) completions[i].ref_logp = reference[i];
  const Evaluation got = evaluate(*sigmoid, completions);
  EXPECT_NEAR(got.loss, 0.64347479, 6e-9);
  const std::vector<double> pairs = {0.62095705, 0.74439666, 0.56507067};
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(3 * (got.completion_loss[2 * i] + got.completion_loss[2 * i + 1]), pairs[i], 6e-9);
}

ObjectiveOptions options_of_line(const std::string& loss, double power, double alpha, double max_weight) {
  if (loss == "rdro") return options_of(LossType::kRdro, alpha);
  const Generator generator = loss == "logistic" ? Generator::kLogistic
                              : loss == "kl"     ? Generator::kKl
                              : loss == "lsif"   ? Generator::kLsif
                                                 : Generator::kBasu;
  ObjectiveOptions options = ddro_options(generator, alpha, max_weight);
  options.basu_power = power;
  return options;
}

TEST(Golden, TermsAndSlopesOfTheHighPrecisionFile) {
  const char* root = std::getenv("DDRO_SOURCE_DIR");
  ASSERT_NE(root, nullptr) << "run the tests with ctest, or set DDRO_SOURCE_DIR";
  std::ifstream file(std::string(root) + "/tests/golden/loss_terms.txt");
  std::string line;
  int num_lines = 0;
  while (std::getline(file, line)) {
    if (line.starts_with('#')) continue;
    SCOPED_TRACE(line);
    std::istringstream words(line);
    std::string loss;
    double power, alpha, max_weight, l, expected[4];
    words >> loss >> power >> alpha >> max_weight >> l;
    for (double& value : expected) words >> value;
    ASSERT_FALSE(words.fail());
    const auto objective = make_objective(options_of_line(loss, power, alpha, max_weight), 0.5);
    const Evaluation got = evaluate(*objective, unpaired({l}, {l}));
    const double values[4] = {got.completion_loss[0], got.slope[0], got.completion_loss[1], got.slope[1]};
    // Near the pole the terms are functions of l + log alpha, whose rounding the weight multiplies.
    const double l_rounding = 4e-16 * std::max(1.0, std::abs(l));
    for (int i = 0; i < 4; ++i) {
      const double steepness = 10 + (l > -0.01 ? (1 + power) * max_weight : 0);
      EXPECT_NEAR(values[i], expected[i],
                  std::max(1e-300, std::abs(expected[i])) * l_rounding * steepness + 1e-14)
          << "column " << i;
    }
    ++num_lines;
  }
  EXPECT_GT(num_lines, 300);
}

}  // namespace
}  // namespace ddro::losses
