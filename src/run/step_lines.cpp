#include "run/step_lines.h"

#include <string>
#include <system_error>

namespace ddro::run {
namespace {

DurableFile::Mode mode_for(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? DurableFile::Mode::kAppend : DurableFile::Mode::kNew;
}

}  // namespace

std::uint64_t read_step_lines(const std::filesystem::path& path, std::int64_t last_step,
                              const std::function<void(const Json&)>& on_line) {
  std::error_code ignored;
  if (last_step < 0 || !std::filesystem::exists(path, ignored)) return 0;
  const std::string content = read_file(path, ErrorKind::kModel);
  size_t begin = 0;
  while (true) {
    const size_t end = content.find('\n', begin);
    if (end == std::string::npos) break;
    const Json line =
        Json::parse(content.begin() + static_cast<std::ptrdiff_t>(begin),
                    content.begin() + static_cast<std::ptrdiff_t>(end), nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) break;
    if (line["step"].get<std::int64_t>() > last_step) break;
    on_line(line);
    begin = end + 1;
  }
  return begin;
}

StepLines::StepLines(const std::filesystem::path& path, std::int64_t last_step,
                     const std::function<void(const Json&)>& on_kept)
    : file_(path, mode_for(path)) {
  file_.cut(read_step_lines(path, last_step, on_kept));
}

}  // namespace ddro::run
