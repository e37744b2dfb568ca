#include "checkpoint/manifest.h"
#include "ddro/base/hash.h"
#include "ddro/base/json.h"
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

// As it is, and with the hash that its content has, without which it is refused by that alone.
void read_manifest(std::string_view input) {
  static const TemporaryFolder folder;
  const auto read = [](std::string_view text) {
    const auto file = folder.write("step_000010/manifest.json", text);
    expect_input_errors([&] { checkpoint::read_manifest(file.parent_path()); });
  };
  read(input);
  expect_input_errors([&] {
    Json manifest = parse_json(input, "manifest.json", ErrorKind::kModel);
    if (!manifest.is_object()) return;
    manifest.erase("xxh3_128");
    manifest["xxh3_128"] = hash_text(manifest.dump());
    read(manifest.dump(2) + "\n");
  });
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
