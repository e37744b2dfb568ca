// Legend: T tokens, F feed-forward width, H query heads, G key/value heads, K head width, C completion
// tokens, D width, V vocabulary.
#include "doctor/kernel_cases.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "ddro/base/tensor_io.h"
#include "ddro/ops/logprob_head.h"
#include "ddro/ops/moment_code.h"
#include "ddro/ops/rms_norm.h"
#include "ddro/ops/rotary.h"
#include "ddro/ops/varlen_attention.h"
#include "ops/logprob_head_device.h"
#include "ops/rotary_device.h"
#include "ops/swiglu_device.h"

namespace ddro::doctor {
namespace {

constexpr double kSoftcap = 3;  // of logits: of their own size

// One rounding of each result, and what float32 sums add to it.
double rounding(at::ScalarType dtype) { return dtype == at::kBFloat16 ? 1.0 / 128 : 1e-5; }

Tensor normal(at::IntArrayRef sizes, at::ScalarType dtype) { return at::randn(sizes, at::kDouble).to(dtype); }

// Results of a differentiable function of the first inputs, then its gradients with respect to them, given
// that of the result as the last input.
TensorFunction with_gradients(std::function<Tensor(const Tensors&)> function) {
  return [function = std::move(function)](const Tensors& inputs) {
    Tensors variables;
    for (size_t i = 0; i + 1 < inputs.size(); ++i)
      variables.push_back(inputs[i].detach().requires_grad_(true));
    const Tensor result = function(variables);
    Tensors all = {result.detach()};
    for (Tensor& gradient : torch::autograd::grad({result}, variables, {inputs.back()}))
      all.push_back(std::move(gradient));
    return all;
  };
}

KernelCase swiglu(at::ScalarType dtype) {
  const auto as_list = [](const ops::SwiGluGradients& all) {
    return Tensors{all.product_TF, all.d_gate_TF, all.d_up_TF};
  };
  return {.name = "swiglu",
          .inputs = {normal({67, 129}, dtype), normal({67, 129}, dtype), normal({67, 129}, dtype)},
          .kernel =
              [as_list](const Tensors& x) {
                Tensors all = as_list(ops::cuda::swiglu_backward(x[2], x[0], x[1]));
                all.push_back(ops::cuda::swiglu(x[0], x[1]));
                return all;
              },
          .twin =
              [as_list](const Tensors& x) {
                Tensors all = as_list(ops::cpu::swiglu_backward(x[2], x[0], x[1]));
                all.push_back(ops::cpu::swiglu(x[0], x[1]));
                return all;
              },
          .tolerance = rounding(dtype)};
}

KernelCase rotary(at::ScalarType dtype) {
  const Tensor half_T1J = at::randn({33, 1, 32}, at::kDouble);
  const Tensor angles_T1K = at::cat({half_T1J, half_T1J}, -1);
  return {.name = "rotary",
          .inputs = {normal({33, 3, 64}, dtype), angles_T1K.cos().to(dtype), angles_T1K.sin().to(dtype)},
          .kernel =
              [](const Tensors& x) {
                return Tensors{ops::cuda::rotary(x[0], x[1], x[2], /*inverse=*/false),
                               ops::cuda::rotary(x[0], x[1], x[2], /*inverse=*/true)};
              },
          .twin =
              [](const Tensors& x) {
                return Tensors{ops::rotary(x[0], x[1], x[2]), ops::rotary(x[0], x[1], -x[2])};
              },
          .tolerance = rounding(dtype)};
}

KernelCase target_logprobs(at::ScalarType dtype) {
  const auto both = [](const Tensors& x, at::ScalarType type, auto function) {
    const Tensor residual_CV = at::empty(x[0].sizes(), x[0].options().dtype(type));
    const Tensor logp_C = function(x[0].clone(), x[1], residual_CV, kSoftcap);
    return Tensors{logp_C, residual_CV};
  };
  return {.name = "target_logprobs",
          .inputs = {normal({19, 4099}, at::kFloat), at::randint(4099, {19}, at::kLong)},
          .kernel = [both, dtype](const Tensors& x) { return both(x, dtype, ops::cuda::target_logprobs); },
          .twin = [both](const Tensors& x) { return both(x, at::kDouble, ops::cpu::target_logprobs); },
          .tolerance = rounding(dtype)};
}

KernelCase logprob_head(at::ScalarType dtype) {
  const TensorFunction head = [](const Tensors& x) {
    const bool is_double = x[0].scalar_type() == at::kDouble;
    Tensor d_weight_VD = at::zeros(x[1].sizes(), x[1].options().dtype(is_double ? at::kDouble : at::kFloat));
    const ops::HeadInput input = {.hidden_CD = x[0],
                                  .weight_VD = x[1],
                                  .targets_C = x[2],
                                  .completion_offsets = {0, 10, 40},
                                  .softcap = kSoftcap,
                                  .bias_V = x[3]};
    const ops::HeadResult result = ops::fused_logprob_head(
        input, std::vector<std::int64_t>{0, 1, 2},
        [](std::int64_t, std::span<const double> logp, std::span<double> out) {
          std::fill_n(out.begin(), logp.size(), 0.5);
        },
        d_weight_VD);
    return Tensors{at::tensor(result.logp, at::kDouble), result.d_hidden_CD, d_weight_VD};
  };
  return {.name = "logprob_head",
          .inputs = {normal({40, 64}, dtype), normal({515, 64}, dtype).mul_(0.25),
                     at::randint(515, {40}, at::kLong), normal({515}, dtype)},
          .kernel = head,
          .twin = head,
          .tolerance = 2 * rounding(dtype)};
}

KernelCase rms_norm(at::ScalarType dtype) {
  const TensorFunction norm =
      with_gradients([](const Tensors& x) { return ops::rms_norm(x[0], x[1], 1e-6); });
  return {.name = "rms_norm",
          .inputs = {normal({37, 576}, dtype), normal({576}, dtype), normal({37, 576}, dtype)},
          .kernel = norm,
          .twin = norm,
          .tolerance = 2 * rounding(dtype)};
}

KernelCase add_rms_norm(at::ScalarType dtype) {
  const TensorFunction norm = with_gradients([](const Tensors& x) {
    const ops::NormedSum both = ops::add_rms_norm(x[0], x[1], x[2], 1e-6);
    return at::cat({both.sum, both.normed}, -1);
  });
  return {.name = "add_rms_norm",
          .inputs = {normal({37, 576}, dtype), normal({37, 576}, dtype), normal({576}, dtype),
                     normal({37, 2 * 576}, dtype)},
          .kernel = norm,
          .twin = norm,
          .tolerance = 2 * rounding(dtype)};
}

// A prefix that two segments share, and a sequence alone.
KernelCase attention(at::ScalarType dtype, std::int64_t head_dim) {
  const TensorFunction attend = with_gradients([](const Tensors& x) {
    const ops::AttentionLayout layout({{0, 20}, {20, 13, 0}, {33, 9, 0}, {42, 30}}, x[0].device());
    return ops::varlen_attention(x[0], x[1], x[2], layout, 0.125);
  });
  return {.name = "attention " + std::to_string(head_dim),
          .inputs = {normal({72, 4, head_dim}, dtype), normal({72, 2, head_dim}, dtype),
                     normal({72, 2, head_dim}, dtype), normal({72, 4, head_dim}, dtype)},
          .kernel = attend,
          .twin = attend,
          .tolerance = 4 * rounding(dtype)};
}

// The same bits on every device: codes of random values, and what they decode to.
KernelCase moment(const char* name, ops::MomentCode code) {
  const TensorFunction there_and_back = [code](const Tensors& x) {
    const bool is_float8 = code != ops::MomentCode::kBFloat16;
    const std::int64_t blocks = (x[0].numel() + ops::kMomentBlock - 1) / ops::kMomentBlock;
    const at::TensorOptions bytes = x[0].options().dtype(at::kByte);
    const ops::MomentPart part = {at::empty(x[0].sizes(), bytes.dtype(is_float8 ? at::kByte : at::kBFloat16)),
                                  at::empty({is_float8 ? blocks : 0}, bytes)};
    ops::encode_moment(code, x[0], /*key=*/7, part);
    Tensor values_N = at::empty_like(x[0]);
    ops::decode_moment(code, part, values_N);
    return Tensors{part.codes_N, part.exponents_B, values_N};
  };
  const Tensor values_N = at::randn({1000}) * at::randn({1000}).mul_(4).exp_();
  return {.name = std::string("moment ") + name,
          .inputs = {code == ops::MomentCode::kUnsignedFloat8 ? values_N.abs() : values_N},
          .kernel = there_and_back,
          .twin = there_and_back};
}

Tensors moved(const Tensors& tensors, at::Device device) {
  Tensors result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.to(device));
  return result;
}

Tensors in_double(const Tensors& tensors) {
  Tensors result;
  for (const Tensor& tensor : tensors)
    result.push_back(tensor.is_floating_point() ? tensor.to(at::kDouble) : tensor);
  return result;
}

// As a share of the largest number expected; not a number where either is not.
double difference(const Tensor& got, const Tensor& expected) {
  if (expected.numel() == 0) return 0;
  const Tensor wide = expected.to(at::kDouble);
  const double most = (got.to(at::kCPU, at::kDouble) - wide).abs().max().item<double>();
  const double scale = wide.abs().max().item<double>();
  return most == 0 ? 0 : most / scale;
}

}  // namespace

std::vector<KernelCase> kernel_cases() {
  at::manual_seed(1);
  std::vector<KernelCase> cases;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (KernelCase kernel_case :
         {swiglu(dtype), rotary(dtype), target_logprobs(dtype), logprob_head(dtype), rms_norm(dtype),
          add_rms_norm(dtype), attention(dtype, 64), attention(dtype, 128)}) {
      kernel_case.name += " " + dtype_label(dtype);
      cases.push_back(std::move(kernel_case));
    }
  }
  cases.push_back(moment("bfloat16", ops::MomentCode::kBFloat16));
  cases.push_back(moment("float8 signed", ops::MomentCode::kSignedFloat8));
  cases.push_back(moment("float8 unsigned", ops::MomentCode::kUnsignedFloat8));
  return cases;
}

Finding compare(const KernelCase& kernel_case, at::Device device) {
  const bool is_exact = kernel_case.tolerance == 0;
  const Tensors got = kernel_case.kernel(moved(kernel_case.inputs, device));
  const Tensors expected = kernel_case.twin(is_exact ? kernel_case.inputs : in_double(kernel_case.inputs));
  double largest = 0;
  for (size_t i = 0; i < expected.size() && !std::isnan(largest); ++i) {
    const double here = difference(got.at(i), expected[i]);
    if (!(here <= largest)) largest = here;
  }
  Finding finding = {"kernel " + kernel_case.name, Status::kOk,
                     "differs from its twin on the CPU by " + printable(largest, "%.1e"), largest};
  if (!(largest <= kernel_case.tolerance)) {
    finding.status = Status::kFailed;
    finding.text += ", " + printable(kernel_case.tolerance, "%.1e") + " is allowed";
    finding.hint = "do not train on this device: look at its memory errors (nvidia-smi -q -d ECC) and driver";
  }
  return finding;
}

}  // namespace ddro::doctor
