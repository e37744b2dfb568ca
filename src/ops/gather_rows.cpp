#include "ddro/ops/gather_rows.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "ddro/base/error.h"
#include "ddro/ops/upload.h"
#include "ops/gather_rows_device.h"

namespace ddro::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class GatherRows : public torch::autograd::Function<GatherRows> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& rows_J, const Tensor& places_J,
                        const Tensor& offsets_T1) {
    ctx->save_for_backward({rows_J, places_J, offsets_T1});
    return x.index_select(0, rows_J);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::NoGradGuard no_grad;
    const auto saved = ctx->get_saved_variables();
    const RowGather gather = {saved[0], saved[1], saved[2]};
    const Tensor d_y = grads[0].contiguous();
    return {d_y.is_cuda() ? cuda::sum_rows(d_y, gather) : cpu::sum_rows(d_y, gather), Tensor(), Tensor(),
            Tensor()};
  }
};

}  // namespace

RowGather make_row_gather(std::span<const std::int64_t> rows, std::int64_t num_rows, at::Device device) {
  std::vector<std::int64_t> offsets(static_cast<size_t>(num_rows) + 1, 0);
  for (const std::int64_t row : rows) {
    DDRO_CHECK(row >= 0 && row < num_rows, "a row that is there");
    ++offsets[static_cast<size_t>(row) + 1];
  }
  for (size_t t = 1; t < offsets.size(); ++t) offsets[t] += offsets[t - 1];
  std::vector<std::int64_t> places(rows.size()), next(offsets.begin(), offsets.end() - 1);
  for (size_t j = 0; j < rows.size(); ++j)
    places[static_cast<size_t>(next[static_cast<size_t>(rows[j])]++)] = static_cast<std::int64_t>(j);
  const std::vector<Tensor> there = upload({rows, places, offsets}, device);
  return {there[0], there[1], there[2]};
}

Tensor gather_rows(const Tensor& x, const RowGather& gather) {
  DDRO_CHECK(x.size(0) + 1 == gather.offsets_T1.size(0), "the gather is of these rows");
  return GatherRows::apply(x, gather.rows_J, gather.places_J, gather.offsets_T1);
}

}  // namespace ddro::ops
