#include "cli/log_prob_rows.h"

#include <algorithm>
#include <string_view>

#include "ddro/base/files.h"
#include "ddro/base/json.h"

namespace ddro::cli {
namespace {

class RowParser {
 public:
  RowParser(std::string_view line, std::string where, bool needs_reference)
      : where_(std::move(where)),
        needs_reference_(needs_reference),
        row_(parse_json(line, where_, ErrorKind::kInput)) {
    if (!row_.is_object()) fail("not a JSON object");
  }

  void append_to(std::vector<losses::ScoredCompletion>& completions) const {
    const bool paired = row_.contains("chosen_logp") || row_.contains("rejected_logp");
    const bool single = row_.contains("logp");
    if (paired == single) {
      fail(
          "expected either chosen_logp, rejected_logp, ref_chosen_logp and ref_rejected_logp, or logp, "
          "ref_logp and label");
    }
    if (paired) {
      const auto first = static_cast<std::int64_t>(completions.size());
      completions.push_back(scored_completion("chosen_logp", "ref_chosen_logp", "chosen_num_tokens", true));
      completions.push_back(
          scored_completion("rejected_logp", "ref_rejected_logp", "rejected_num_tokens", false));
      completions[static_cast<size_t>(first)].partner = first + 1;
      completions[static_cast<size_t>(first) + 1].partner = first;
    } else {
      const auto label = row_.find("label");
      if (label == row_.end() || !label->is_boolean()) fail("\"label\" is missing or not true or false");
      completions.push_back(scored_completion("logp", "ref_logp", "num_tokens", label->get<bool>()));
    }
  }

  losses::ScoredCompletion mismatched_completion() const {
    losses::ScoredCompletion completion;
    completion.logp = number("kl_logp");
    completion.ref_logp = number("ref_kl_logp");
    completion.weight = weight();
    return completion;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw input_error("[" + where_ + "] " + what); }

  double number(const char* name) const {
    const auto found = row_.find(name);
    if (found == row_.end()) fail(std::string("\"") + name + "\" is missing");
    if (!found->is_number())
      fail(std::string("\"") + name + "\" is not a number; got " + printable(found->dump(), 40));
    return found->get<double>();
  }

  double reference(const char* name) const {
    const auto found = row_.find(name);
    const bool absent = found == row_.end() || found->is_null();
    return absent && !needs_reference_ ? 0 : number(name);
  }

  double weight() const {
    if (!row_.contains("weight")) return 1;
    const double weight = number("weight");
    if (!(weight > 0))
      fail("\"weight\" is out of range; got " + printable(weight) + ", expected a number above 0");
    return weight;
  }

  // The field `name`, else num_tokens, else 1.
  std::int64_t tokens(const char* name) const {
    const char* field = row_.contains(name) ? name : "num_tokens";
    if (!row_.contains(field)) return 1;
    const Json& count = row_.at(field);
    if (!count.is_number_integer() || count < 1)
      fail(std::string("\"") + field + "\" is not an integer of at least 1");
    return count.get<std::int64_t>();
  }

  losses::ScoredCompletion scored_completion(const char* logp, const char* ref_logp, const char* num_tokens,
                                             bool chosen) const {
    losses::ScoredCompletion completion;
    completion.logp = number(logp);
    completion.ref_logp = reference(ref_logp);
    completion.chosen = chosen;
    completion.weight = weight();
    completion.num_tokens = tokens(num_tokens);
    return completion;
  }

  std::string where_;
  bool needs_reference_;
  Json row_;
};

}  // namespace

LogProbRows read_log_prob_rows(const std::string& path, bool needs_reference, bool needs_mismatched) {
  const std::string name = printable(path, 400);
  const std::string content = read_file(path);
  LogProbRows result;
  std::string_view rest = content;
  for (int line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const RowParser parser(text, name + ":" + std::to_string(line), needs_reference);
    parser.append_to(result.completions);
    if (needs_mismatched) result.mismatched.push_back(parser.mismatched_completion());
  }
  if (result.completions.empty()) throw input_error("[" + name + "] holds no rows");
  return result;
}

}  // namespace ddro::cli
