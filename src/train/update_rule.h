// The arithmetic of an optimizer. What it makes of a number of a tensor depends on no other place in it, so
// that ranks can share out the places, and moments can be read and written a part at a time; save where
// needs_whole_tensors says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ddro/models/parameter_role.h"
#include "ddro/train/moment.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

struct MomentSpec {
  // Of the parameter; or without its last dimension, or the one before.
  enum class Shape { kSame, kRows, kColumns };

  const char* name;  // in a checkpoint, in front of the parameter's
  Moment::Kind kind;
  Shape shape = Shape::kSame;

  std::vector<std::int64_t> sizes_for(at::IntArrayRef parameter) const;
};

// Tensors to update in place, and what belongs to each: lists of one length, all in the masters' type.
struct UpdateBatch {
  std::vector<Tensor> weights;
  std::vector<Tensor> gradients;             // may be overwritten
  std::vector<std::vector<Tensor>> moments;  // a list for each of the rule's
  double learning_rate = 0;
  double weight_decay = 0;
  std::int64_t update = 1;  // its number
};

struct UpdateRule {
  std::vector<MomentSpec> moments;
  std::function<void(const UpdateBatch&)> apply;
};

// Of what an optimizer takes for matrices, and of the others.
struct UpdateRules {
  UpdateRule matrices;
  UpdateRule others;
  bool (*is_matrix)(models::ParameterRole role, at::IntArrayRef sizes);

  const UpdateRule& of(models::ParameterRole role, at::IntArrayRef sizes) const {
    return is_matrix(role, sizes) ? matrices : others;
  }
};

UpdateRule adamw(const OptimizerOptions& options);
UpdateRule sgd(const OptimizerOptions& options);
UpdateRule lion(const OptimizerOptions& options);

UpdateRules adafactor();
UpdateRules muon(const OptimizerOptions& options);

UpdateRules make_update_rules(const OptimizerOptions& options);

}  // namespace ddro::train
