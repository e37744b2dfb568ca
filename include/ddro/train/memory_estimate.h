// What a run will need of memory, before it is started.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "ddro/data/packed_batch.h"
#include "ddro/dist/dist_options.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

// In how many parts something is shared out, one to a process.
struct PartCounts {
  int weights = 1;  // and gradients, and a live reference
  int moments = 1;  // and masters
};

// Bytes that stay for a whole run computing in `dtype`: weights, float32 masters where they are not the
// weights, gradients, moments, and the weights of a live reference.
double weight_bytes(std::int64_t num_parameters, at::ScalarType dtype, MomentDType moment_dtype,
                    bool live_reference, PartCounts parts = {}, double num_moments = 2);

// Bytes of masters and moments on disk, and of their copy while they are written.
double checkpoint_bytes(std::int64_t num_parameters, at::ScalarType dtype, MomentDType moment_dtype,
                        double num_moments = 2);

struct MemoryModel {
  models::ModelSpec spec;
  std::int64_t num_parameters = 0;             // of the model
  std::optional<models::AdapterSpec> adapter;  // trained in their place
  at::ScalarType dtype = at::kFloat;           // compute type
  MomentDType moment_dtype = MomentDType::kFloat32;
  double num_moments = 2;  // numbers that the optimizer keeps of each
  at::Device device = at::kCPU;
  bool live_reference = false;  // with weights of its own
  bool gradient_checkpointing = false;
  bool copies_checkpoints = false;  // to write them while it goes on
  int num_ranks = 1;
  dist::Shard shard = dist::Shard::kNone;
  double mapped_bytes = 0;  // of weight files that this process has read
  // Of a frozen base, and of a live reference beside it, of which a part stays as stored; 0: all of it is in
  // `dtype`.
  double packed_bytes = 0;
  double packed_reference_bytes = 0;
};

// What each rank has a part of.
dist::Shard shard_of(const MemoryModel& model);

// weight_bytes of what is trained, and the weights of a frozen base.
double weight_bytes(const MemoryModel& model);
double checkpoint_bytes(const MemoryModel& model);

// Bytes, in each process.
struct MemoryEstimate {
  double weights = 0;      // weight_bytes
  double activations = 0;  // of the largest micro-batch, what its backward holds for a moment included
  double gathered = 0;     // of weights in parts: those that are whole at one time, and their gradients
  double head = 0;         // the logits of a chunk
  double process = 0;      // CPU: libraries, data, and what the allocator cannot give back
  double copy = 0;         // CPU: of what a checkpoint holds; a GPU's is in the host's memory
  double exchange = 0;     // of gradients between ranks, when logits are gone
  double peak() const { return weights + activations + gathered + std::max(head, exchange) + process + copy; }
};

// Adds up what the forward of this code keeps for its backward. `plan`: the step with the largest
// micro-batches. Within 10 % of the measured peak (benchmarks/memory.py); on the CPU of the process's
// resident memory.
MemoryEstimate estimate_memory(const MemoryModel& model, const data::StepPlan& plan);

}  // namespace ddro::train
