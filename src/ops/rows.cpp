#include "ddro/ops/rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ddro/base/error.h"

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class TakeRows : public torch::autograd::Function<TakeRows> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& order, const Tensor& places,
                        std::int64_t copies) {
    ctx->save_for_backward({places});
    ctx->saved_data["copies"] = copies;
    return x.index_select(0, copies == 1 ? order : order.div(copies, "floor"));
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const std::int64_t copies = ctx->saved_data["copies"].toInt();
    const Tensor d_copies = grads[0].index_select(0, ctx->get_saved_variables()[0]);
    const Tensor d_x = copies == 1 ? d_copies : d_copies.view({-1, copies, d_copies.size(1)}).sum(1);
    return {d_x, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

RowOrder sort_rows(const Tensor& keys_R) {
  const Tensor order_R = at::argsort(keys_R, /*stable=*/true);
  const Tensor places_R = at::empty_like(order_R);
  places_R.index_copy_(0, order_R, at::arange(order_R.size(0), order_R.options()));
  return {order_R, places_R};
}

Tensor take_rows(const Tensor& x_TD, const RowOrder& order, std::int64_t copies) {
  DDRO_CHECK(x_TD.dim() == 2 && order.order_R.size(0) == copies * x_TD.size(0),
             "an order of every copy of every row");
  return TakeRows::apply(x_TD, order.order_R, order.places_R, copies);
}

}  // namespace ddro::ops
