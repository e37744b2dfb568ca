// A file of JSON lines that each have a step, each step exactly once over any number of restarts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "ddro/base/files.h"
#include "ddro/base/json.h"

namespace ddro::run {

// Calls `on_line` with each leading whole line of the file whose step is at most `last_step`; the bytes that
// they take. A file that is not there has none.
std::uint64_t read_step_lines(const std::filesystem::path& path, std::int64_t last_step,
                              const std::function<void(const Json&)>& on_line);

class StepLines {
 public:
  // Opens for appending, after cutting off what an interrupted run wrote after step `last_step` (torn last
  // lines included). last_step = -1 empties the file. `on_kept`: called with each line that stays.
  // Error(kSave) when it cannot be opened.
  StepLines(
      const std::filesystem::path& path, std::int64_t last_step,
      const std::function<void(const Json&)>& on_kept = [](const Json&) {});

  // Whole lines, in one write call: a reader never sees half of them unless the disk is full. Error(kSave) on
  // failure.
  void append(std::string_view lines) { file_.write(lines); }
  void sync() { file_.sync(); }

 private:
  DurableFile file_;
};

}  // namespace ddro::run
