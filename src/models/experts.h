// The mixture of experts of a layer, with its tensors.
//
// Legend: T tokens, D width, N experts, C experts chosen for a token, R = T C rows.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ddro/models/router_balance.h"
#include "ddro/ops/rows.h"
#include "models/feed_forward.h"

namespace ddro::models {

class Experts {
 public:
  Experts(const ExpertsSpec& spec, const ParameterTable& table);
  // `balance`: of the routers; null: none.
  Tensor operator()(const Tensor& x_TD, RouterBalance* balance) const;

 private:
  // Which experts compute which tokens: a row for each token and chosen expert, sorted by expert.
  struct Routes {
    Tensor weights_TC;
    ops::RowOrder by_expert;
    std::vector<std::int64_t> counts_N;  // rows of each expert
  };

  Routes route(const Tensor& x_TD, RouterBalance* balance) const;
  Tensor compute(const Tensor& rows_RD, const std::vector<std::int64_t>& counts_N) const;
  Tensor shared(const Tensor& x_TD) const;

  std::int64_t top_k_;
  bool normalized_;
  Linear router_, shared_gate_;
  std::vector<FeedForward> experts_;
  std::optional<FeedForward> shared_;
};

}  // namespace ddro::models
