#include "ddro/run/summaries.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "ddro/base/error.h"
#include "ddro/ops/packed.h"

namespace ddro::run {

std::string percentiles(std::vector<std::int64_t> values) {
  if (values.empty()) return "none";
  std::sort(values.begin(), values.end());
  std::string text;
  for (const auto& [name, share] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}}) {
    const auto index = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1;
    text += std::string(text.empty() ? "" : ", ") + name + " " + std::to_string(values[index]);
  }
  return text;
}

std::string kind_label(data::RowKind kind) {
  return kind == data::RowKind::kPaired ? "pairs" : "single completions";
}

std::vector<std::string> data_remarks(const data::DatasetReport& report) {
  std::vector<std::string> remarks;
  const auto remark = [&](std::int64_t count, const std::string& what) {
    if (count > 0) remarks.push_back(std::to_string(count) + " " + what);
  };
  remark(report.num_truncated, "rows cut to data.max_length");
  remark(report.num_boundary_merges, "completions begin inside a token; that token counts as completion");
  remark(report.num_control_text,
         "rows spell a control token; it is kept as ordinary text unless data.parse_control_tokens is true");
  remark(
      report.num_shorter_prompts,
      "completions stand behind a part of the generation prompt only: the chat template writes another turn");
  remark(report.num_other_turns,
         "completions hold turns of a user or a tool; their tokens count as the completion's");
  remark(report.num_duplicates, "rows repeat an earlier row");
  remark(report.num_both_labels, "completions occur with both labels");
  remark(report.num_chosen_equals_rejected, "pairs have equal completions");
  for (const std::string& field : report.ignored_fields) {
    remarks.push_back("field \"" + printable(field) + "\" is not used");
  }
  return remarks;
}

std::vector<std::string> dropped_reasons(const std::vector<data::DroppedRow>& dropped) {
  constexpr size_t kMost = 10;
  struct Reason {
    std::string text;  // behind the number that it begins with, if it does
    std::int64_t rows = 0;
    std::uint64_t least = UINT64_MAX, most = 0;
  };
  std::map<std::string, Reason> by_text;
  for (const data::DroppedRow& row : dropped) {
    const size_t digits = std::min(row.reason.find_first_not_of("0123456789"), row.reason.size());
    const bool has_number = digits > 0 && digits < 19;
    const std::string text = row.reason.substr(has_number ? digits : 0);
    Reason& reason = by_text[text];
    reason.text = text;
    ++reason.rows;
    if (!has_number) continue;
    const std::uint64_t number = std::stoull(row.reason);
    reason.least = std::min(reason.least, number);
    reason.most = std::max(reason.most, number);
  }
  std::vector<Reason> reasons;
  for (const auto& [text, reason] : by_text) reasons.push_back(reason);
  std::stable_sort(reasons.begin(), reasons.end(),
                   [](const Reason& a, const Reason& b) { return a.rows > b.rows; });
  std::vector<std::string> lines;
  for (const Reason& reason : reasons) {
    if (lines.size() == kMost) {
      lines.push_back("and for " + std::to_string(reasons.size() - kMost) + " other reasons");
      break;
    }
    std::string number = reason.least <= reason.most ? std::to_string(reason.least) : "";
    if (reason.least < reason.most) number += " to " + std::to_string(reason.most);
    lines.push_back(std::to_string(reason.rows) + " x " + number + reason.text);
  }
  return lines;
}

std::int64_t num_parameters(const models::ModelFolder& folder) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : folder.tensors)
    count += c10::multiply_integers(ops::shape_of_numbers(tensor));
  return count;
}

}  // namespace ddro::run
