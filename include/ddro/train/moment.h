// How one of an optimizer's moments of one parameter is kept: as the arithmetic needs it, or in a short form.
#pragma once

#include <cstdint>
#include <string>

#include "ddro/base/tensor_io.h"
#include "ddro/ops/moment_code.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

// Bytes a number of a moment takes, where masters of `master_bytes` each are trained.
double moment_bytes(MomentDType dtype, double master_bytes);

class Moment {
 public:
  enum class Kind { kFirst, kSecond };  // signed; not negative

  // Zeros. `master`: type and device of the master weight. The short forms are of float32 masters. `begin`:
  // place in the parameter of the moment's first number, a multiple of ops::kMomentBlock.
  Moment(Kind kind, MomentDType dtype, at::IntArrayRef sizes, at::TensorOptions master,
         std::int64_t begin = 0);

  MomentDType dtype() const { return dtype_; }
  // What is stored: in the parameter's shape, the moment itself or the codes of its short form.
  const Tensor& stored() const { return stored_; }

  // Copies the numbers from `begin` on, in the order of memory, to values_N or from it. `begin` is a multiple
  // of ops::kMomentBlock. `key`: of the rounding, see ops::encode_moment.
  void read(std::int64_t begin, const Tensor& values_N) const;
  void write(std::int64_t begin, const Tensor& values_N, std::uint64_t key);
  // Zeros of the same shape in another form.
  Moment like(MomentDType dtype) const;
  // Takes over the numbers of a moment of the same shape.
  void convert(const Moment& from, std::uint64_t key);

  // All that is stored, for a checkpoint: "PREFIX.NAME", and for float8 "PREFIX_exponents.NAME", with one
  // number for each ops::kMomentBlock of the moment.
  NamedTensors tensors(const std::string& prefix, const std::string& name) const;

 private:
  ops::MomentPart part(std::int64_t begin, std::int64_t size) const;

  Kind kind_;
  MomentDType dtype_;
  Tensor stored_;
  Tensor exponents_;  // of float8
  std::int64_t begin_;
};

// Numbers to read, update and write at once: what stays in the caches of a CPU, or fills a GPU.
std::int64_t moment_chunk(at::Device device);

}  // namespace ddro::train
