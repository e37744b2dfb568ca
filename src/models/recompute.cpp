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
  explicit BlockHolder(Block function) : block(std::move(function)) {}
  Block block;
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Block& block) {
    ctx->save_for_backward({x});
    ctx->saved_data["block"] = c10::IValue::make_capsule(c10::make_intrusive<BlockHolder>(block));
    return block(x);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto capsule = ctx->saved_data["block"].toCapsule();
    const Block& block = static_cast<const BlockHolder&>(*capsule).block;
    const at::AutoGradMode with_grad(true);
    const Tensor x = ctx->get_saved_variables()[0].detach().requires_grad_(true);
    const Tensor y = block(x);
    torch::autograd::backward({y}, {grads[0]});
    return {x.grad(), Tensor()};
  }
};

}  // namespace

Tensor recompute(const Block& block, const Tensor& x) {
  if (!at::GradMode::is_enabled()) return block(x);
  DDRO_CHECK(x.requires_grad(), "recomputation needs an input that requires grad");
  return Recompute::apply(x, block);
}

}  // namespace ddro::models
