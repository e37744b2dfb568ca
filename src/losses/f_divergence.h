// The transformations of log-ratios that other f-divergences than the reverse KL put into DPO.
#pragma once

#include "losses/completion_objective.h"

namespace ddro::losses {

// h(z) and its derivative, by f_divergence_type: reverse_kl z; forward_kl -exp(-z); js_divergence
// log sigmoid(z); alpha_divergence exp((a-1) z)/(a-1), a = f_alpha_divergence_coef. Beyond an exponent of 80,
// h goes on linearly.
Term f_divergence(double z, const ObjectiveOptions& options);

}  // namespace ddro::losses
