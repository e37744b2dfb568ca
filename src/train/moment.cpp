#include "ddro/train/moment.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/ops/moment_code.h"

namespace ddro::train {
namespace {

std::int64_t num_blocks(std::int64_t numbers) {
  return (numbers + ops::kMomentBlock - 1) / ops::kMomentBlock;
}

at::ScalarType stored_type(MomentDType dtype, at::ScalarType master) {
  switch (dtype) {
    case MomentDType::kFloat32:
      return master;
    case MomentDType::kBFloat16:
      return at::kBFloat16;
    case MomentDType::kFloat8:
      return at::kByte;
  }
  return at::kFloat;
}

ops::MomentCode code_of(Moment::Kind kind, MomentDType dtype) {
  if (dtype == MomentDType::kBFloat16) return ops::MomentCode::kBFloat16;
  return kind == Moment::Kind::kFirst ? ops::MomentCode::kSignedFloat8 : ops::MomentCode::kUnsignedFloat8;
}

}  // namespace

double moment_bytes(MomentDType dtype, double master_bytes) {
  switch (dtype) {
    case MomentDType::kFloat32:
      return master_bytes;
    case MomentDType::kBFloat16:
      return 2;
    case MomentDType::kFloat8:
      return 1 + 1.0 / static_cast<double>(ops::kMomentBlock);
  }
  return master_bytes;
}

std::int64_t moment_chunk(at::Device device) {
  return device.is_cuda() ? std::int64_t{1} << 22 : std::int64_t{1} << 17;
}

Moment::Moment(Kind kind, MomentDType dtype, at::IntArrayRef sizes, at::TensorOptions master,
               std::int64_t begin)
    : kind_(kind), dtype_(dtype), begin_(begin) {
  const at::ScalarType master_type = c10::typeMetaToScalarType(master.dtype());
  DDRO_CHECK(dtype == MomentDType::kFloat32 || master_type == at::kFloat,
             "short moments are of float32 masters");
  const auto options = at::TensorOptions(master.device());
  stored_ = at::zeros(sizes, options.dtype(stored_type(dtype, master_type)));
  if (dtype == MomentDType::kFloat8)
    exponents_ = at::zeros({num_blocks(stored_.numel())}, options.dtype(at::kByte));
}

Moment Moment::like(MomentDType dtype) const {
  return {kind_, dtype, stored_.sizes(), stored_.options().dtype(at::kFloat), begin_};
}

ops::MomentPart Moment::part(std::int64_t begin, std::int64_t size) const {
  DDRO_CHECK((begin_ + begin) % ops::kMomentBlock == 0, "a part begins with a block");
  ops::MomentPart part;
  part.codes_N = stored_.view(-1).narrow(0, begin, size);
  part.first_block = (begin_ + begin) / ops::kMomentBlock;
  if (exponents_.defined())
    part.exponents_B = exponents_.narrow(0, begin / ops::kMomentBlock, num_blocks(size));
  return part;
}

void Moment::read(std::int64_t begin, const Tensor& values_N) const {
  if (dtype_ == MomentDType::kFloat32) {
    values_N.copy_(stored_.view(-1).narrow(0, begin, values_N.numel()));
  } else {
    ops::decode_moment(code_of(kind_, dtype_), part(begin, values_N.numel()), values_N);
  }
}

void Moment::write(std::int64_t begin, const Tensor& values_N, std::uint64_t key) {
  if (dtype_ == MomentDType::kFloat32) {
    stored_.view(-1).narrow(0, begin, values_N.numel()).copy_(values_N);
  } else {
    ops::encode_moment(code_of(kind_, dtype_), values_N, key, part(begin, values_N.numel()));
  }
}

void Moment::convert(const Moment& from, std::uint64_t key) {
  const std::int64_t size = stored_.numel();
  const Tensor scratch_N =
      at::empty({std::min(size, moment_chunk(stored_.device()))}, stored_.options().dtype(at::kFloat));
  for (std::int64_t begin = 0; begin < size; begin += scratch_N.numel()) {
    const Tensor values_N = scratch_N.narrow(0, 0, std::min(scratch_N.numel(), size - begin));
    from.read(begin, values_N);
    write(begin, values_N, key);
  }
}

NamedTensors Moment::tensors(const std::string& prefix, const std::string& name) const {
  NamedTensors all{{prefix + "." + name, stored_}};
  if (dtype_ == MomentDType::kFloat8) all.emplace_back(prefix + "_exponents." + name, exponents_);
  return all;
}

}  // namespace ddro::train
