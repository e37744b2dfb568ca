#include "checkpoint/manifest.h"
#include "ddro/config/run_config.h"
#include "ddro/report/run_history.h"
#include "ddro/report/status.h"
#include "fuzz/targets.h"
#include "support/temporary_folder.h"

namespace ddro::test {

void read_run_config(std::string_view input) {
  static const TemporaryFolder folder;
  const auto path = folder.write("run.yaml", input);
  expect_input_errors([&] { config::load_run_config(path, {}); });
}

void read_manifest(std::string_view input) {
  static const TemporaryFolder folder;
  const auto file = folder.write("step_000010/manifest.json", input);
  expect_input_errors([&] { checkpoint::read_manifest(file.parent_path()); });
}

// metrics.jsonl, config.yaml, run.json and samples.jsonl.
void read_run_folder(std::string_view input) {
  static const TemporaryFolder folder;
  const auto files = cut_into(4, input);
  folder.write("metrics.jsonl", files[0]);
  folder.write("config.yaml", files[1]);
  folder.write("run.json", files[2]);
  folder.write("samples.jsonl", files[3]);
  expect_input_errors([&] { report::read_run(folder.path()); });
  expect_input_errors([&] { report::read_status(folder.path()).describe(); });
}

}  // namespace ddro::test
