#include "run/prometheus_file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "ddro/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::run {
namespace {

using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Prometheus : public testing::Test {
 protected:
  std::string text() const { return read_file(folder_ / "metrics.prom"); }
  std::string run() const { return "run=\"" + folder_.path().string() + "\""; }

  const TemporaryFolder folder_;
  PrometheusFile file_{folder_.path()};
};

TEST_F(Prometheus, NamesHaveUnitsAndCountersEndWithTotal) {
  file_.write("train", 3,
              {{"loss", 0.25}, {"step_time_s", 2}, {"num_tokens", 1234567}, {"rewards/chosen", -1.5}});
  EXPECT_THAT(text(), HasSubstr("# HELP ddro_train_loss loss of the last train line of metrics.jsonl\n"
                                "# TYPE ddro_train_loss gauge\n"
                                "ddro_train_loss{" +
                                run() + "} 0.25\n"));
  EXPECT_THAT(text(), HasSubstr("# TYPE ddro_train_tokens_total counter\nddro_train_tokens_total{" + run() +
                                "} 1234567\n"));
  EXPECT_THAT(text(), HasSubstr("ddro_train_step_time_seconds{" + run() + "} 2\n"));
  EXPECT_THAT(text(), HasSubstr("ddro_train_rewards_chosen{" + run() + "} -1.5\n"));
  EXPECT_THAT(text(), HasSubstr("ddro_train_step{" + run() + "} 3\n"));
  EXPECT_THAT(text(), HasSubstr("ddro_train_timestamp_seconds{" + run() + "} "));
}

TEST_F(Prometheus, SetsAreLabelsOfOneName) {
  file_.write("eval", 2,
              {{"eval_a_loss", 1},
               {"eval_a_ratio/auc", 0.5},
               {"eval_b_loss", 2},
               {"eval_b_ratio/auc", 0.75},
               {"eval_runtime", 4},
               {"eval_sampling_time_s", 3}});
  EXPECT_THAT(text(), HasSubstr("# TYPE ddro_eval_loss gauge\nddro_eval_loss{" + run() +
                                ",set=\"a\"} 1\nddro_eval_loss{" + run() + ",set=\"b\"} 2\n#"));
  EXPECT_THAT(text(), HasSubstr("ddro_eval_ratio_auc{" + run() + ",set=\"b\"} 0.75\n"));
  EXPECT_THAT(text(), HasSubstr("ddro_eval_runtime_seconds{" + run() + "} 4\n"));
  EXPECT_THAT(text(), HasSubstr("ddro_eval_sampling_time_seconds{" + run() + "} 3\n"));
}

TEST_F(Prometheus, HoldsTheLastOfEachKind) {
  file_.write("train", 1, {{"loss", 1}, {"kl", 0.5}});
  file_.write("eval", 1, {{"eval_x_loss", 7}});
  file_.write("train", 2, {{"loss", std::nan("")}, {"grad_norm", std::numeric_limits<double>::infinity()}});
  EXPECT_THAT(text(), AllOf(HasSubstr("ddro_train_loss{" + run() + "} NaN\n"),
                            HasSubstr("ddro_train_grad_norm{" + run() + "} +Inf\n"),
                            HasSubstr("set=\"x\"} 7\n"), Not(HasSubstr("ddro_train_kl"))));
}

TEST(PrometheusLabels, AreEscaped) {
  const TemporaryFolder folder;
  const auto odd = folder / "a\"b\\c\nd";
  std::filesystem::create_directory(odd);
  PrometheusFile(odd).write("train", 1, {{"loss", 1}});
  EXPECT_THAT(read_file(odd / "metrics.prom"), HasSubstr(R"(/a\"b\\c\nd"} 1)"));
}

TEST(PrometheusPlace, ThatCannotBeWrittenIsNamed) {
  EXPECT_THAT(test::message_of(ErrorKind::kSave,
                               [] { PrometheusFile("/proc/no_such_folder").write("train", 1, {}); }),
              HasSubstr("/proc/no_such_folder/metrics.prom"));
}

}  // namespace
}  // namespace ddro::run
