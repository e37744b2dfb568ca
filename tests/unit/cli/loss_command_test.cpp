#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "ddro/base/json.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::TemporaryFolder;
using ::testing::HasSubstr;

class LossCommand : public ::testing::Test {
 protected:
  ProgramResult run(const std::string& rows, const std::vector<std::string>& settings = {}) {
    path_ = folder_.write("rows.jsonl", rows).string();
    std::vector<std::string> arguments = {"loss", "--data", path_};
    for (const std::string& setting : settings)
      arguments.insert(arguments.end(), {"--set", "objective." + setting});
    return ddro_train(arguments);
  }

  std::vector<Json> lines(const std::string& rows, const std::vector<std::string>& settings = {}) {
    const ProgramResult result = run(rows, settings);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    std::vector<Json> parsed;
    std::istringstream stream(result.out);
    for (std::string line; std::getline(stream, line);) parsed.push_back(Json::parse(line));
    return parsed;
  }

  std::string refusal(const std::string& rows, const std::vector<std::string>& settings = {}) {
    const ProgramResult result = run(rows, settings);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    return result.err;
  }

  TemporaryFolder folder_;
  std::string path_;
};

const std::string kPair =
    R"({"chosen_logp":-9.7,"rejected_logp":-11.0,"ref_chosen_logp":-10,"ref_rejected_logp":-10})";

// Values of the preferred and the unpreferred logistic term at alpha = 0.39 and W = 1000: l = 0.3 and l = -1.
TEST_F(LossCommand, GivesTheGoldenValuesOfAPair) {
  const auto out = lines(kPair + "\n", {"alpha=0.39", "max_weight=1000"});
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].at("row"), 0);
  EXPECT_NEAR(out[0].at("chosen_loss").get<double>(), 0.454326277492, 1e-11);
  EXPECT_NEAR(out[0].at("rejected_loss").get<double>(), 0.23269441555, 1e-11);
  EXPECT_NEAR(out[0].at("loss").get<double>(), 0.454326277492 + 0.23269441555, 1e-11);
  EXPECT_NEAR(out[1].at("loss").get<double>(), 0.454326277492 + 0.23269441555, 1e-11);
  EXPECT_EQ(out[1].at("loss_type"), "ddro");
  EXPECT_EQ(out[1].at("alpha"), 0.39);
  EXPECT_EQ(out[1].at("pairs"), 1);
}

TEST_F(LossCommand, DerivativesAreThoseOfTheWholeLoss) {
  const std::string tail = R"({"logp":-5,"ref_logp":-5.2,"label":true})"
                           "\n"
                           R"({"logp":-6,"ref_logp":-5.5,"label":false})"
                           "\n";
  const auto row = [](double logp) {
    return "{\"logp\":" + Json(logp).dump() + ",\"ref_logp\":-4.9,\"label\":false}\n";
  };
  const double step = 1e-5;
  for (const char* loss : {"loss_type=ddro", "loss_type=rdro"}) {
    const double above = lines(row(-5 + step) + tail, {loss, "alpha=0.4"}).back().at("loss");
    const double below = lines(row(-5 - step) + tail, {loss, "alpha=0.4"}).back().at("loss");
    const double given = lines(row(-5) + tail, {loss, "alpha=0.4"})[0].at("dloss_dlogp");
    EXPECT_NEAR(given, (above - below) / (2 * step), 1e-8) << loss;
  }
}

// -log sigmoid(beta (l_w - l_l)), and its slope.
TEST_F(LossCommand, KnowsDpo) {
  const auto out = lines(kPair, {"loss_type=dpo", "beta=0.5"});
  const double margin = 0.5 * (0.3 + 1.0);
  EXPECT_NEAR(out[0].at("loss").get<double>(), std::log1p(std::exp(-margin)), 1e-12);
  EXPECT_NEAR(out[0].at("dloss_dchosen_logp").get<double>(), -0.5 / (1 + std::exp(margin)), 1e-12);
  EXPECT_NEAR(out[0].at("dloss_drejected_logp").get<double>(), 0.5 / (1 + std::exp(margin)), 1e-12);
}

TEST_F(LossCommand, SftReadsTokensAndNoReference) {
  const auto out = lines("{\"logp\":-6,\"label\":true,\"num_tokens\":3}\n{\"logp\":-1,\"label\":true}\n",
                         {"loss_type=sft"});
  EXPECT_NEAR(out.back().at("loss").get<double>(), 7.0 / 4.0, 1e-12);
  EXPECT_TRUE(out.back().at("alpha").is_null());
}

// Token means of each completion: (1.3/4 - (-1)/2 - 1/(2 beta))^2 at beta = 1.
TEST_F(LossCommand, ReadsTheTokensOfEitherCompletion) {
  const std::string pair =
      R"({"chosen_logp":-8.7,"rejected_logp":-11,"ref_chosen_logp":-10,"ref_rejected_logp":-10,)"
      R"("chosen_num_tokens":4,"rejected_num_tokens":2})";
  const double distance = 1.3 / 4 + 1.0 / 2 - 0.5;
  EXPECT_NEAR(lines(pair, {"loss_type=ipo", "beta=1"}).back().at("loss").get<double>(), distance * distance,
              1e-12);
}

// The reference point is the mean of kl_logp - ref_kl_logp: 0.25.
TEST_F(LossCommand, KtoReadsItsReferencePointFromTheRows) {
  const auto out = lines(
      "{\"logp\":-5,\"ref_logp\":-6,\"label\":true,\"kl_logp\":-9,\"ref_kl_logp\":-10}\n"
      "{\"logp\":-7,\"ref_logp\":-6.5,\"label\":false,\"kl_logp\":-9,\"ref_kl_logp\":-8.5}\n",
      {"loss_type=kto", "beta=2", "undesirable_weight=3"});
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_EQ(out.back().at("kl"), 0.25);
  EXPECT_NEAR(out[0].at("loss").get<double>(), sigmoid(-2 * (1 - 0.25)) / 2, 1e-12);
  EXPECT_NEAR(out[1].at("loss").get<double>(), 3 * sigmoid(2 * (-0.5 - 0.25)) / 2, 1e-12);
  const double s = sigmoid(-2 * (1 - 0.25));
  EXPECT_NEAR(out[0].at("dloss_dlogp").get<double>(), -2 * s * (1 - s) / 2, 1e-12);
}

// Every loss prints values and derivatives that belong together.
TEST_F(LossCommand, KnowsEveryLossOfPairs) {
  const auto pair = [](double chosen) {
    return "{\"chosen_logp\":" + Json(chosen).dump() +
           ",\"rejected_logp\":-11,\"ref_chosen_logp\":-10,\"ref_rejected_logp\":-10,\"num_tokens\":5,"
           "\"kl_logp\":-3,\"ref_kl_logp\":-4}";
  };
  const double step = 1e-5;
  for (const char* loss :
       {"robust", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down", "discopop",
        "sigmoid_norm", "simpo", "cpo", "orpo", "kto", "apo_zero_unpaired", "[dpo, bco_pair, sft]"}) {
    const std::vector<std::string> settings = {std::string("loss_type=") + loss};
    const double above = lines(pair(-9.7 + step), settings).back().at("loss");
    const double below = lines(pair(-9.7 - step), settings).back().at("loss");
    EXPECT_NEAR(lines(pair(-9.7), settings)[0].at("dloss_dchosen_logp").get<double>(),
                (above - below) / (2 * step), 1e-7)
        << loss;
  }
}

TEST_F(LossCommand, AlphaAutoIsTheShareOfPreferredRows) {
  const std::string yes = "{\"logp\":-6,\"ref_logp\":-6,\"label\":true}\n";
  const std::string no = "{\"logp\":-6,\"ref_logp\":-6,\"label\":false,\"weight\":2}\n";
  EXPECT_NEAR(lines(yes + no + no).back().at("alpha").get<double>(), 0.2, 1e-15);
}

TEST_F(LossCommand, NamesTheLineOfABadRow) {
  const auto at_line_2 = [&](const std::string& row) { return refusal(kPair + "\n" + row + "\n"); };
  EXPECT_THAT(at_line_2("{"), HasSubstr("rows.jsonl:2] not valid JSON"));
  EXPECT_THAT(at_line_2("[1]"), HasSubstr("rows.jsonl:2] not a JSON object"));
  EXPECT_THAT(at_line_2("{}"), HasSubstr("rows.jsonl:2] expected either chosen_logp"));
  EXPECT_THAT(at_line_2("{\"logp\":1,\"chosen_logp\":2}"), HasSubstr(":2] expected either"));
  EXPECT_THAT(at_line_2("{\"chosen_logp\":-1,\"ref_chosen_logp\":-1}"),
              HasSubstr(":2] \"rejected_logp\" is missing"));
  EXPECT_THAT(at_line_2("{\"logp\":-1,\"ref_logp\":-1}"), HasSubstr(":2] \"label\" is missing"));
  EXPECT_THAT(at_line_2("{\"logp\":-1,\"ref_logp\":-1,\"label\":1}"), HasSubstr(":2] \"label\""));
  EXPECT_THAT(at_line_2("{\"logp\":\"-1\",\"ref_logp\":-1,\"label\":true}"),
              HasSubstr("\"logp\" is not a number; got"));
  EXPECT_THAT(at_line_2("{\"logp\":-1,\"ref_logp\":null,\"label\":true}"),
              HasSubstr("\"ref_logp\" is not a number"));
  EXPECT_THAT(at_line_2("{\"logp\":-1e400,\"ref_logp\":-1,\"label\":true}"), HasSubstr(":2] "));
  EXPECT_THAT(at_line_2("{\"logp\":NaN,\"ref_logp\":-1,\"label\":true}"), HasSubstr(":2] not valid JSON"));
  EXPECT_THAT(at_line_2("{\"logp\":-1,\"ref_logp\":-1,\"label\":true,\"weight\":0}"),
              HasSubstr("\"weight\" is out of range"));
  EXPECT_THAT(at_line_2("{\"logp\":-1,\"ref_logp\":-1,\"label\":true,\"num_tokens\":0}"),
              HasSubstr("\"num_tokens\""));
  EXPECT_THAT(refusal(kPair + "\n", {"loss_type=kto"}), HasSubstr("rows.jsonl:1] \"kl_logp\" is missing"));
  EXPECT_THAT(at_line_2("{\"chosen_logp\":-1,\"ref_chosen_logp\":-1,\"rejected_logp\":-1,"
                        "\"ref_rejected_logp\":-1,\"rejected_num_tokens\":1.5}"),
              HasSubstr("\"rejected_num_tokens\" is not an integer"));
  EXPECT_THAT(refusal(""), HasSubstr("holds no rows"));
  EXPECT_THAT(refusal("\n  \n"), HasSubstr("holds no rows"));
}

TEST_F(LossCommand, RefusesSettingsByName) {
  EXPECT_THAT(refusal(kPair, {"alpha=2"}), HasSubstr("objective.alpha"));
  EXPECT_THAT(refusal(kPair, {"beta=1"}), HasSubstr("objective.beta"));
  EXPECT_THAT(refusal(kPair, {"loss_type=aot"}), HasSubstr("aot is not built yet"));
  EXPECT_THAT(refusal(kPair, {"alhpa=0.5"}), HasSubstr("did you mean alpha?"));
  EXPECT_THAT(refusal("{\"logp\":-6,\"ref_logp\":-6,\"label\":true}\n"), HasSubstr("alpha"));
  EXPECT_THAT(refusal("{\"logp\":-6,\"ref_logp\":-6,\"label\":true}\n", {"loss_type=dpo"}),
              HasSubstr("pair"));
}

// alpha r >= 1 on an unpreferred row: the raw loss is not defined.
TEST_F(LossCommand, TheRawLossPastItsPoleIsItsOwnExitCode) {
  const ProgramResult result = run(R"({"logp":-1,"ref_logp":-1,"label":true}
{"logp":-1,"ref_logp":-3,"label":false})",
                                   {"stabilizer=none", "alpha=0.5"});
  EXPECT_EQ(result.exit_code, 77);
  EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace ddro
