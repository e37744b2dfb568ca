// What is trained: a model's parameters with what belongs to each, apart from how it is updated.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/dist/communicator.h"
#include "ddro/dist/dist_options.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/parameter_role.h"
#include "ddro/train/parts.h"
#include "ddro/train/state_tensors.h"

namespace ddro::train {

struct Parameter {
  std::string name;  // as in the model folder
  Tensor compute;    // what the model computes with
  Tensor master;  // what is updated: `compute` itself in float32 and float64, else a float32 tensor beside it
  Tensor gradient;        // in the master's type; backward passes add to it, as it is compute.grad()
  bool trainable = true;  // false: neither master nor gradient
  models::ParameterRole role = models::ParameterRole::kVector;
  bool decays = false;  // all but vectors, as in Hugging Face's Trainer: norms and biases do not
  size_t unit = 0;  // of the model (ddro/models/weight_units.h); of an adapter the first, whose gradients are
                    // complete last

  // Of several ranks that do not all have everything (dist::Shard) each updates its part of the numbers:
  // `master` is of those alone, in a row (in float32 and float64 own_compute).
  Part part;
  Tensor own_compute;   // what the master is rounded into: `compute`, or its part
  Tensor own_gradient;  // of the master: `gradient`, or its part
  // Of a model's store (Shard::kFull): `compute` and `gradient` are there while something computes with them,
  // both parts always; else these are views. An adapter's are never in parts, those of its frozen base are.
  bool in_parts = false;

  // What is always there.
  const Tensor& kept_compute() const { return in_parts ? own_compute : compute; }
  const Tensor& kept_gradient() const { return in_parts ? own_gradient : gradient; }
  bool is_mixed() const { return trainable && master.scalar_type() != compute.scalar_type(); }
};

// Owns masters and gradients. The model outlives it.
class Parameters {
 public:
  // In the order of model.parameters(); those that do not require grad are frozen. `initial`: weights at the
  // precision of the model folder, from which the masters start. `ranks`: that train the model together; with
  // Shard::kFull it is one that was built with a store.
  Parameters(const models::CausalLm& model, const NamedTensors& initial,
             const dist::Communicator& ranks = dist::alone(), dist::Shard shard = dist::Shard::kNone);
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  const std::vector<Parameter>& entries() const { return entries_; }
  std::int64_t size() const;  // numbers that are trained
  const dist::Communicator& ranks() const { return ranks_; }
  // What this rank has a part of: nothing, where it is the only one.
  dist::Shard shard() const { return shard_; }
  bool is_sharded() const { return shard_ != dist::Shard::kNone; }

  // Gradients of a step add up over any number of backward passes. What follows a sum over the ranks
  // (train/reduce_gradients.h) is of this rank's parts.
  void zero_gradients();
  void scale_gradients(double factor);
  double gradient_norm() const;  // 2-norm over all parameters; the same on all ranks
  // Where a backward adds the gradient of one parameter, for who does so directly.
  const Tensor& gradient(const std::string& name) const;

  // Rounds the masters into what the model computes with, on all ranks.
  void masters_changed();

  NamedTensors masters() const;  // of the trainable entries: what is updated here
  StateTensors state() const;    // the same, as a checkpoint holds it and an export writes it
  // A tensor that belongs to the part of `entry` on this rank, with a number for each `block` of its numbers.
  StateTensor state_tensor(const Parameter& entry, const std::string& name, const Tensor& own,
                           std::int64_t block = 1) const;
  // Error(kModel) with `where` for a missing, surplus or misshapen tensor.
  void load_masters(const NamedTensors& masters, const std::string& where);

 private:
  void add_trained(Parameter& entry, const models::CausalLm& model,
                   const std::unordered_map<std::string, Tensor>& initial);
  std::vector<Tensor> own_gradients() const;

  const dist::Communicator& ranks_;
  dist::Shard shard_;
  std::vector<Parameter> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace ddro::train
