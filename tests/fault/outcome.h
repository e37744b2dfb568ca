// A short run with everything in it, and how one that met a fault compares with it.
#pragma once

#include <gmock/gmock.h>

#include <set>
#include <string>
#include <vector>

#include "ddro/base/hash.h"
#include "e2e/tiny_run.h"
#include "support/temporary_folder.h"

namespace ddro::test {

// Four checkpoints, of which two are kept; evaluations with samples at steps 0, 7 and 8.
inline std::vector<std::string> short_run(std::vector<std::string> more = {}) {
  std::vector<std::string> settings = sampling();
  settings.insert(settings.end(),
                  {"train.max_steps=8", "checkpoint.save_steps=2", "checkpoint.save_total_limit=2"});
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

// Without the event files, one a start and named by its time.
inline std::set<std::string> entries_below(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    if (!name.starts_with("events.out.tfevents.")) names.insert(name);
  }
  return names;
}

// A short run that nothing disturbed, made once.
inline const TinyRun& undisturbed_short_run() {
  static const TemporaryFolder folder;
  static const TinyRun run(folder.path(), short_run());
  static const int code = run.run();
  if (code != 0) throw std::runtime_error("the undisturbed run failed: " + run.log_text());
  return run;
}

inline void expect_as_undisturbed(const TinyRun& run, const std::string& after) {
  const TinyRun& straight = undisturbed_short_run();
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(straight.output_dir() / "final/model.safetensors"))
      << after;
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight)) << after;
  EXPECT_EQ(samples_of(run), samples_of(straight)) << after;
  EXPECT_EQ(entries_below(run.output_dir()), entries_below(straight.output_dir()))
      << "something is missing or left, after " << after;
}

}  // namespace ddro::test
