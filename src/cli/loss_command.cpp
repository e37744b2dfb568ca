#include <memory>

#include "cli/commands.h"
#include "cli/log_prob_rows.h"
#include "cli/output.h"
#include "ddro/base/json.h"
#include "ddro/config/run_config.h"
#include "ddro/losses/objective.h"

namespace ddro::cli {
namespace {

struct LossOptions {
  std::string data;
  std::vector<std::string> overrides;
};

// One line for each row of the file: a pair's two completions are one line.
void print_rows(const std::vector<losses::ScoredCompletion>& completions,
                const std::vector<double>& completion_loss, const std::vector<double>& dloss_dlogp) {
  int line = 0;
  for (size_t i = 0; i < completions.size(); ++i, ++line) {
    if (completions[i].partner < 0) {
      print_line(Json({{"row", line}, {"loss", completion_loss[i]}, {"dloss_dlogp", dloss_dlogp[i]}}).dump());
      continue;
    }
    print_line(Json({{"row", line},
                     {"loss", completion_loss[i] + completion_loss[i + 1]},
                     {"chosen_loss", completion_loss[i]},
                     {"rejected_loss", completion_loss[i + 1]},
                     {"dloss_dchosen_logp", dloss_dlogp[i]},
                     {"dloss_drejected_logp", dloss_dlogp[i + 1]}})
                   .dump());
    ++i;
  }
}

void run_loss(const LossOptions& options) {
  const losses::ObjectiveOptions objective_options = config::load_objective(options.overrides);
  const losses::LossTypes& types = objective_options.loss_type;
  const auto [completions, mismatched] =
      read_log_prob_rows(options.data, losses::needs_reference(types), losses::needs_mismatched(types));
  BatchCounts counts = losses::batch_counts(completions);
  counts.kl = losses::kl_estimate(mismatched);
  const double data_alpha = counts.chosen / (counts.chosen + counts.rejected);
  const auto objective = losses::make_objective(objective_options, data_alpha);
  std::vector<double> completion_loss(completions.size());
  std::vector<double> dloss_dlogp(completions.size());
  objective->evaluate(completions, counts, completion_loss, dloss_dlogp);
  print_rows(completions, completion_loss, dloss_dlogp);
  double loss = 0;
  for (const double part : completion_loss) loss += part;
  Json total = {{"loss", loss},
                {"loss_type", losses::loss_name(types)},
                {"alpha", objective->alpha()},
                {"chosen", counts.chosen},
                {"rejected", counts.rejected},
                {"pairs", counts.pairs}};
  if (objective->needs_mismatched()) total["kl"] = counts.kl;
  print_line(total.dump());
}

}  // namespace

void add_loss_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("loss", "Compute a loss and its derivatives from log-probabilities");
  command->footer(
      "Rows are {chosen_logp, rejected_logp, ref_chosen_logp, ref_rejected_logp} or {logp, ref_logp, label}, "
      "with optional\n"
      "num_tokens (chosen_num_tokens, rejected_num_tokens; 1 where absent) and weight; for kto also kl_logp "
      "and "
      "ref_kl_logp.\n"
      "The file is one effective batch. Each row's line gives its part of the loss (the parts sum\n"
      "to the loss) and the derivative of the whole loss with respect to its log-probabilities; the last "
      "line gives the\n"
      "loss and the class counts.");
  auto options = std::make_shared<LossOptions>();
  command->add_option("--data", options->data, "JSON lines")->required()->type_name("FILE");
  command->add_option("--set", options->overrides, "objective.key=value; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->callback([options] { run_loss(*options); });
}

}  // namespace ddro::cli
