#include "report/panel_specs.h"

namespace ddro::report {
namespace {

const char* const kClassText =
    "log(policy / reference) of a completion: the mean, and the range from the 10th to the 90th percentile. "
    "0: as likely as under the reference.";

}  // namespace

const std::vector<PanelSpec>& panel_specs() {
  static const std::vector<Quantity> classes = {{"log_ratio/chosen", "preferred", true},
                                                {"log_ratio/rejected", "unpreferred", true}};
  static const std::vector<PanelSpec> specs = {
      {.title = "Loss",
       .text = "The objective. Comparable only between runs with the same objective and data.",
       .unit = "",
       .scale = "linear",
       .quantities = {{"loss", ""}}},
      {.title = "Accuracy",
       .text = "Share of pairs whose preferred completion has the larger log-ratio.",
       .unit = "share",
       .scale = "share",
       .quantities = {{"rewards/accuracies", ""}},
       .mark = 0.5},
      {.title = "AUC",
       .text = "Chance that a preferred completion has a larger log-ratio than an unpreferred one; 0.5 tells "
               "nothing apart.",
       .unit = "share",
       .scale = "share",
       .quantities = {{"ratio/auc", ""}},
       .mark = 0.5},
      {.title = "Margin",
       .text =
           "Mean reward of preferred minus unpreferred completions; the reward is beta times the log-ratio.",
       .unit = "nats",
       .scale = "linear",
       .quantities = {{"rewards/margins", ""}},
       .zero = true},
      {.title = "Log-ratio by class, evaluation",
       .text = kClassText,
       .unit = "nats",
       .scale = "linear",
       .quantities = classes,
       .source = Source::kEval,
       .zero = true},
      {.title = "Log-ratio by class, training",
       .text = kClassText,
       .unit = "nats",
       .scale = "linear",
       .quantities = classes,
       .source = Source::kTrain,
       .zero = true},
      {.title = "Largest log-ratio",
       .text = "Largest absolute log-ratio of any completion: how far the policy has left the reference.",
       .unit = "nats",
       .scale = "linear",
       .quantities = {{"log_ratio/abs_max", ""}},
       .zero = true},
      {.title = "Saturated and capped",
       .text = "Share of unpreferred completions past the pole of the ratio (saturated), and past the cap on "
               "their "
               "weight.",
       .unit = "share",
       .scale = "linear",
       .quantities = {{"ratio/saturated", "saturated"}, {"ratio/capped", "capped"}},
       .zero = true},
      {.title = "Mean ratio over the mixture",
       .text = "Of policy over reference, classes counted by alpha. 1 is expected of held-out samples of the "
               "reference; clearly above it, what alpha assumes of the rows does not hold.",
       .unit = "",
       .scale = "log",
       .quantities = {{"ratio/mixture_mean", ""}},
       .mark = 1},
      {.title = "Gradient norm",
       .text = "Of the whole gradient, before clipping.",
       .unit = "",
       .scale = "log",
       .quantities = {{"grad_norm", ""}}},
      {.title = "Learning rate",
       .text = "Of each step.",
       .unit = "",
       .scale = "linear",
       .quantities = {{"learning_rate", ""}},
       .zero = true},
      {.title = "Throughput",
       .text = "Tokens of all sequences of a step a second.",
       .unit = "tokens/s",
       .scale = "linear",
       .quantities = {{"tokens_per_second", ""}},
       .zero = true},
      {.title = "Model FLOPs utilization",
       .text = "Useful operations over what a large matrix product reaches on the same device in that time.",
       .unit = "share",
       .scale = "linear",
       .quantities = {{"mfu", ""}},
       .zero = true},
      {.title = "Peak memory",
       .text = "Largest memory so far: of the process, or allocated on the GPU.",
       .unit = "GB",
       .scale = "linear",
       .quantities = {{"peak_memory_bytes", ""}},
       .zero = true,
       .factor = 1e-9},
  };
  return specs;
}

}  // namespace ddro::report
