// Numbers of a whole effective batch: every micro-batch on every rank.
#pragma once

namespace ddro {

struct BatchCounts {
  double chosen = 0;         // N+: sum of the weights of preferred completions
  double rejected = 0;       // N-
  double pairs = 0;          // sum of the pairs' weights
  double chosen_tokens = 0;  // tokens of preferred completions, weighted
  double rejected_seen = 0;  // unpreferred completions of the data met so far, this batch's included
  double kl = 0;             // reference point of kto: losses::kl_estimate of the mismatched rows
};

}  // namespace ddro
