#include "ddro/report/page.h"

#include <string_view>

#include "page_template.h"
#include "report/panels.h"
#include "report/sample_table.h"
#include "report/tables.h"

namespace ddro::report {
namespace {

constexpr std::string_view kDataMark = "{{data}}";

// JSON inside a <script> element ends at the first "</script"; no text of a run may write one.
std::string script_safe(std::string json) {
  for (size_t at = json.find('<'); at != std::string::npos; at = json.find('<', at))
    json.replace(at, 1, "\\u003c");
  return json;
}

}  // namespace

std::string render_page(const std::vector<RunHistory>& runs) {
  Json names = Json::array();
  Json remarks = Json::array();
  for (const RunHistory& run : runs) {
    names.push_back(run.name);
    remarks.push_back(run.remarks);
  }
  const Json data = {{"runs", std::move(names)},        {"remarks", std::move(remarks)},
                     {"facts", make_facts(runs)},       {"summary", make_summary(runs)},
                     {"settings", make_settings(runs)}, {"panels", make_panels(runs)},
                     {"samples", make_samples(runs)}};
  const std::string_view page = kPageTemplate;
  const size_t mark = page.find(kDataMark);
  DDRO_CHECK(mark != std::string_view::npos, "the page has no place for its data");
  return std::string(page.substr(0, mark)) + script_safe(data.dump()) +
         std::string(page.substr(mark + kDataMark.size()));
}

}  // namespace ddro::report
