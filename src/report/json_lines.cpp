#include "report/json_lines.h"

#include <string_view>

#include "ddro/base/files.h"

namespace ddro::report {

bool read_json_lines(const std::filesystem::path& path,
                     const std::function<void(const Json& line, const std::string& where)>& visit) {
  const std::string content = read_file(path);
  const std::string_view text = content;
  size_t begin = 0;
  for (size_t number = 1; begin < text.size(); ++number) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return false;
    const std::string where = printable(path.string(), 400) + ":" + std::to_string(number);
    const Json line = parse_json(text.substr(begin, end - begin), where, ErrorKind::kInput);
    if (!line.is_object()) throw input_error("[" + where + "] is not a JSON object");
    visit(line, where);
    begin = end + 1;
  }
  return true;
}

std::int64_t step_of(const Json& line, const std::string& where) {
  const auto step = line.find("step");
  if (step == line.end() || !step->is_number_integer() || step->get<std::int64_t>() < 0) {
    throw input_error("[" + where + "] has no step; expected an integer of at least 0");
  }
  return step->get<std::int64_t>();
}

}  // namespace ddro::report
