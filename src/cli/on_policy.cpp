#include "cli/on_policy.h"

#include <cmath>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/score_folder.h"
#include "ddro/losses/mixture_mean.h"
#include "ddro/run/setup.h"
#include "ddro/train/score.h"

namespace ddro::cli {
namespace {

// By chance a mean is this far away once in 370 sets.
constexpr double kStandardErrors = 3;

std::string text_of(const losses::Estimate& estimate) {
  return printable(estimate.mean, "%+.3f") +
         (estimate.standard_error ? " (standard error " + printable(*estimate.standard_error, "%.3f") + ")"
                                  : "");
}

std::string verdict(const losses::Estimate& mixture) {
  if (!mixture.standard_error) return "too few rows to say anything";
  if (std::fabs(mixture.mean) <= kStandardErrors * *mixture.standard_error)
    return "the rows may be the model's own samples";
  return std::string("the rows are ") + (mixture.mean < 0 ? "less" : "more") +
         " likely than the model's own samples: it did not write them as they are, or alpha is not the share "
         "of preferred ones among its samples; what a density-ratio loss assumes does not hold";
}

}  // namespace

void print_on_policy(const models::ModelFolder& folder, const data::Dataset& dataset,
                     std::optional<double> alpha) {
  const data::SetPlan plan(dataset, {});
  const std::vector<double> excess = score_folder(folder, models::ComputeDType::kFloat32, dataset, plan,
                                                  "on-policy", values_of<train::ModelExcess>());
  const std::vector<losses::ScoredCompletion> completions = train::scored_completions(dataset, plan);
  const double share = alpha.value_or(run::data_alpha(dataset));
  const auto mixture = losses::mixture_mean(completions, excess, share);
  if (!mixture) {
    print_line("on-policy   not known: rows of both classes are needed");
    return;
  }
  std::vector<double> lengths;
  for (const losses::ScoredCompletion& completion : completions)
    lengths.push_back(static_cast<double>(completion.num_tokens));
  const double tokens = losses::mixture_mean(completions, lengths, share)->mean;
  print_line("on-policy   " + verdict(*mixture));
  print_line(
      "  log-probability plus the entropies along it, nats a completion; 0 is expected of own samples");
  print_line("  preferred          " + text_of(*losses::mixture_mean(completions, excess, 1)));
  print_line("  unpreferred        " + text_of(*losses::mixture_mean(completions, excess, 0)));
  print_line("  mixture            " + text_of(*mixture) + " with alpha " + printable(share, "%.6g") + "; " +
             printable(mixture->mean / tokens, "%+.4f") + " a token");
}

}  // namespace ddro::cli
