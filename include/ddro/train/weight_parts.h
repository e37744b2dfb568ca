// Weights of which each of several ranks has a part (dist::Shard::kFull).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ddro/dist/communicator.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/weight_store.h"

namespace ddro::train {

class BlockPool;
class Exchanges;

// The ranks gather a unit from their parts (ddro/train/parts.h), and sum up its gradients into parts: all of
// them at the same time. Where one has nothing to compute, it calls the model's take_part. While something
// computes with a unit, the one that is needed next comes, and the gradients of the one before are added up.
class WeightParts : public models::WeightStore {
 public:
  explicit WeightParts(const dist::Communicator& ranks);
  ~WeightParts() override;

  void take(size_t unit, const std::string& name, const Tensor& parameter) override;
  void begin_forward() override;
  void gather(size_t unit) override;
  void release(size_t unit) override;
  void begin_gradients(size_t unit) override;
  void end_gradients(size_t unit) override;
  void announce(bool value) override { is_announcing_ = value; }
  Tensor part(const std::string& name) const override;
  void keep_gradient(const std::string& name, const Tensor& whole, const Tensor& own) override;

 private:
  struct Held {
    Tensor whole;  // the model's parameter; apart from its history, so that filling it changes no version
    Tensor part;
    Tensor gradient;  // whole; undefined where none is kept
    Tensor own_gradient;

    bool is_frozen() const { return !gradient.defined(); }
  };
  struct Unit {
    std::vector<Held> tensors;
    bool is_whole = false;
    std::function<void()> coming;  // waits for what has begun to come; empty: nothing
  };
  enum class Course { kUnknown, kForward, kBackward };

  void begin_gather(Unit& unit);
  void begin_next(size_t index);
  void finish_sums();

  const dist::Communicator& ranks_;
  std::unique_ptr<BlockPool> memory_;  // of what is whole
  std::vector<Unit> units_;
  std::unordered_map<std::string, std::pair<size_t, size_t>> index_;  // unit, place in it
  bool is_announcing_ = false;
  std::unique_ptr<Exchanges> sums_;  // of the gradients below
  std::vector<const Held*> summed_;
  Course course_ = Course::kUnknown;  // in which units are asked for
};

// Runs `work` of each rank, which computes with `model` in any number of forwards. Where ranks have parts of
// its weights, one that has no forward left takes part in those of the others.
void side_by_side(const models::CausalLm& model, const dist::Communicator& ranks,
                  const std::function<void()>& work);

// The same, of which the first rank alone has any work.
void on_first_rank(const models::CausalLm& model, const dist::Communicator& ranks,
                   const std::function<void()>& work);

}  // namespace ddro::train
