#include "models/weight_unit.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace ddro::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Call = std::function<void()>;

struct CallHolder : torch::CustomClassHolder {
  explicit CallHolder(Call function) : call(std::move(function)) {}
  Call call;
};

class InBackward : public torch::autograd::Function<InBackward> {
 public:
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Call& call) {
    ctx->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<CallHolder>(call));
    return x.view_as(x);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto capsule = ctx->saved_data["call"].toCapsule();
    static_cast<const CallHolder&>(*capsule).call();
    return {grads[0], Tensor()};
  }
};

}  // namespace

Tensor in_backward(const Tensor& x, const Call& call) { return InBackward::apply(x, call); }

Tensor run_unit(const WeightUnit& unit, const std::function<Tensor(const Tensor&)>& block, const Tensor& x) {
  if (unit.store == nullptr) return block(x);
  unit.gather();
  if (!at::GradMode::is_enabled()) {
    const Tensor y = block(x);
    unit.release();
    return y;
  }
  const Tensor y = block(in_backward(x, [unit] { unit.end_backward(); }));
  unit.release();
  return in_backward(y, [unit] { unit.begin_backward(); });
}

}  // namespace ddro::models
