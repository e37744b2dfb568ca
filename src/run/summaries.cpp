#include "ddro/run/summaries.h"

#include <algorithm>
#include <cmath>
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

std::int64_t num_parameters(const models::ModelFolder& folder) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : folder.tensors)
    count += c10::multiply_integers(ops::shape_of_numbers(tensor));
  return count;
}

}  // namespace ddro::run
