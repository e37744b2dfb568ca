#include "ddro/train/run_identity.h"

#include <gmock/gmock.h>

#include "ddro/base/error.h"

namespace ddro::train {
namespace {

RunIdentity identity() {
  RunIdentity id;
  for (const std::string& name : allowable_changes()) id[name] = "same";
  id["seed"] = 1;
  id["train_batch_size"] = 16;
  id["max_length"] = 1024;
  id["micro_batch_tokens"] = 8192;
  id["learning_rate"] = 1e-5;
  id["threads"] = 2;
  id["reference_log_probs"] = "live";
  return id;
}

TEST(CheckIdentity, AcceptsTheSame) { EXPECT_NO_THROW(check_identity(identity(), identity(), {})); }

TEST(CheckIdentity, RefusesWhatChangesTheMeaningUnlessAllowed) {
  for (const std::string& name : allowable_changes()) {
    RunIdentity changed = identity();
    changed[name] = "other";
    try {
      check_identity(identity(), changed, {});
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), testing::HasSubstr("--allow-change=" + name));
    }
    EXPECT_NO_THROW(check_identity(identity(), changed, {name}));
  }
}

TEST(CheckIdentity, RefusesAnotherOrderOfSamplesWhateverIsAllowed) {
  for (const char* name : {"seed", "train_batch_size", "max_length"}) {
    RunIdentity changed = identity();
    changed[name] = 99;
    EXPECT_THROW(check_identity(identity(), changed, allowable_changes()), Error) << name;
  }
}

TEST(CheckIdentity, AcceptsWhatDoesNotMatter) {
  for (const char* name : {"micro_batch_tokens", "learning_rate", "threads", "reference_log_probs"}) {
    RunIdentity changed = identity();
    changed[name] = 99;
    EXPECT_NO_THROW(check_identity(identity(), changed, {})) << name;
  }
}

}  // namespace
}  // namespace ddro::train
