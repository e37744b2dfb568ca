#include "run/identity.h"

#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/run/train_run.h"
#include "support/expect_error.h"

namespace ddro::run {
namespace {

using ddro::test::message_of;
using testing::HasSubstr;

RunIdentity identity() {
  RunIdentity id;
  for (const std::string& name : allowable_changes()) id[name] = "same";
  for (const config::Setting& setting : config::list_settings({})) id[setting.key] = setting.value;
  id["end_tokens"] = {2};
  id["total_steps"] = 30;
  id["threads"] = 2;
  id["reference_log_probs"] = "live";
  return id;
}

RunIdentity with(const std::string& name, const Json& value) {
  RunIdentity changed = identity();
  EXPECT_TRUE(changed.contains(name)) << name;
  changed[name] = value;
  return changed;
}

TEST(CheckCanResume, AcceptsTheSame) { EXPECT_NO_THROW(check_can_resume(identity(), identity(), {})); }

TEST(CheckCanResume, RefusesWhatChangesTheMeaningUnlessAllowed) {
  for (const std::string& name : allowable_changes()) {
    const RunIdentity changed = with(name, "other");
    EXPECT_THAT(message_of(ErrorKind::kInput, [&] { check_can_resume(identity(), changed, {}); }),
                HasSubstr("--allow-change=" + name));
    EXPECT_NO_THROW(check_can_resume(identity(), changed, {name}));
  }
  EXPECT_THAT(message_of(ErrorKind::kInput,
                         [&] { check_can_resume(identity(), with("data.on_bad_row", "drop"), {}); }),
              HasSubstr("data.on_bad_row: error -> drop); give --allow-change=data"));
  EXPECT_NO_THROW(check_can_resume(identity(), with("data.on_bad_row", "drop"), {"data"}));
  EXPECT_NO_THROW(check_can_resume(identity(), with("end_tokens", {3}), {"template"}));
}

TEST(CheckCanResume, RefusesAnotherOrderOfSamplesWhateverIsAllowed) {
  for (const char* name : {"train.seed", "train.train_batch_size", "data.max_length"})
    EXPECT_THROW(check_can_resume(identity(), with(name, "99"), allowable_changes()), Error) << name;
}

TEST(CheckCanResume, SaysWhatElseChanges) {
  for (const char* name : {"train.micro_batch_tokens", "optimizer.learning_rate",
                           "optimizer.lr_scheduler_kwargs", "optimizer.adam_beta2", "eval.eval_steps",
                           "model.dtype", "total_steps", "threads", "reference_log_probs"}) {
    testing::internal::CaptureStderr();
    EXPECT_NO_THROW(check_can_resume(identity(), with(name, "99"), {})) << name;
    EXPECT_THAT(testing::internal::GetCapturedStderr(),
                HasSubstr("resuming with " + std::string(name) + ": "));
  }
}

TEST(CheckCanResume, DoesNotCompareWhatAnOlderVersionDidNotStore) {
  RunIdentity older = identity();
  older.erase("train.seed");
  older.erase("loss");
  EXPECT_NO_THROW(check_can_resume(older, identity(), {}));
}

TEST(CheckIsSameRun, RefusesWhatWouldHaveMadeAnotherRun) {
  EXPECT_NO_THROW(check_is_same_run(identity(), identity()));
  for (const char* name : {"loss", "base_model", "data", "reference", "template", "tokenizer", "train.seed",
                           "train.train_batch_size", "optimizer.learning_rate", "optimizer.weight_decay",
                           "total_steps", "data.parse_control_tokens"}) {
    EXPECT_THAT(message_of(ErrorKind::kInput, [&] { check_is_same_run(identity(), with(name, "99")); }),
                testing::AllOf(HasSubstr("[resume] the run has ended, with another configuration (" +
                                         std::string(name) + ": "),
                               HasSubstr("-> 99)")));
  }
}

TEST(CheckIsSameRun, WarnsOfWhatHasNoEffectAnyMore) {
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(check_is_same_run(identity(), with("logging.logging_steps", "99")));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("without effect: logging.logging_steps: 1 -> 99"));
}

}  // namespace
}  // namespace ddro::run
