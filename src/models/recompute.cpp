#include "models/recompute.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Block = std::function<Tensor(const Tensor&)>;

struct BlockHolder : torch::CustomClassHolder {
  BlockHolder(Block function, const WeightUnit& its_unit) : block(std::move(function)), unit(its_unit) {}
  Block block;
  WeightUnit unit;
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Block& block, const WeightUnit& unit) {
    ctx->save_for_backward({x});
    ctx->saved_data["block"] = c10::IValue::make_capsule(c10::make_intrusive<BlockHolder>(block, unit));
    return run_unit(unit, block, x);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto capsule = ctx->saved_data["block"].toCapsule();
    const auto& holder = static_cast<const BlockHolder&>(*capsule);
    const at::AutoGradMode with_grad(true);
    const Tensor x = ctx->get_saved_variables()[0].detach().requires_grad_(true);
    holder.unit.begin_backward();
    torch::autograd::backward({holder.block(x)}, {grads[0]});
    holder.unit.end_backward();
    return {x.grad(), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor recompute(const Block& block, const Tensor& x, const WeightUnit& unit) {
  if (!at::GradMode::is_enabled()) return run_unit(unit, block, x);
  DDRO_CHECK(x.requires_grad(), "recomputation needs an input that requires grad");
  return Recompute::apply(x, block, unit);
}

}  // namespace ddro::models
