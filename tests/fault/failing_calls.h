// Calls of the disk that fail: a run ends in order or goes on without, and the next start is as if nothing
// had been.
#pragma once

#include "fault/faulty_disk.h"
#include "fault/outcome.h"

namespace ddro::test {

// `rule`: of DDRO_DISK_FAIL.
inline void expect_survived(const std::string& rule) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  const int code = run.run({}, faulty_disk(run.output_dir(), {"DDRO_DISK_FAIL=" + rule}));
  const std::string log = run.log_text();
  ASSERT_TRUE(code == 0 || code == 78) << rule << ": " << code << "\n" << log;
  EXPECT_EQ(code == 78, log.find("ddro-train: error: [") != std::string::npos) << rule << "\n" << log;
  ASSERT_EQ(run.run(), 0) << rule << ": " << run.log_text();
  expect_as_undisturbed(run, rule);
}

// How many such calls the short run makes.
inline int count_calls(const std::string& call) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  const auto counts = folder / "counts";
  run.run({}, faulty_disk(run.output_dir(),
                          {"DDRO_DISK_FAIL=" + call + ":0:EIO", "DDRO_DISK_COUNTS=" + counts.string()}));
  return std::stoi(read_file(counts));
}

}  // namespace ddro::test
