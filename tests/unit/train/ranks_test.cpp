// What of a model travels between ranks, and what tells that their models differ.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <utility>

#include "ddro/models/adapter.h"
#include "ddro/train/same_weights.h"
#include "ddro/train/weight_parts.h"
#include "support/expect_error.h"
#include "support/tiny_model.h"
#include "train/reduce_gradients.h"

namespace ddro::train {
namespace {

// Rank 0 of two, the other of which says and has the same.
class Twin : public dist::Communicator {
 public:
  Twin() : Communicator(0, 2) {}
  dist::Arrival begin_all_reduce(const Tensor& tensor) const override {
    numbers += tensor.numel();
    calls += 1;
    return [tensor] { return tensor.mul_(2); };
  }
  dist::Arrival begin_reduce_scatter(const Tensor& rows_WN) const override {
    numbers += rows_WN.numel();
    calls += 1;
    return [rows_WN] { return rows_WN[0] * 2; };
  }
  dist::Arrival begin_all_gather(const Tensor& own_N) const override {
    return [own_N] { return at::stack({own_N, own_N}); };
  }
  Tensor all_to_all(const std::vector<Tensor>& for_each, const std::vector<std::int64_t>&) const override {
    return at::cat({for_each[0], for_each[0]});
  }
  std::vector<std::string> exchange(const std::string& said) const override { return {said, said}; }
  std::function<void()> begin_swap(const TensorsByRank& to_each,
                                   const TensorsByRank& from_each) const override {
    for (size_t i = 0; i < from_each[1].size(); ++i) numbers += to_each[1][i].numel();
    calls += 1;
    return [to_each, from_each] {
      for (size_t i = 0; i < from_each[1].size(); ++i) from_each[1][i].copy_(to_each[1][i]);
    };
  }
  mutable std::int64_t numbers = 0, calls = 0;
};

// As before, but one byte of what the other says in a list of bytes is another.
class Liar : public Twin {
 public:
  explicit Liar(std::int64_t byte) : byte_(byte) {}
  dist::Arrival begin_all_gather(const Tensor& own_N) const override {
    const Tensor other_N = own_N.clone();
    if (own_N.scalar_type() == at::kByte) other_N[byte_] += 1;
    return [own_N, other_N] { return at::stack({own_N, other_N}); };
  }

 private:
  std::int64_t byte_;
};

std::unique_ptr<models::CausalLm> model_with_adapter() {
  const models::ModelSpec spec = test::tiny_spec();
  const NamedTensors weights = test::tiny_weights(spec, 1);
  models::AdapterOptions options;
  options.adapter_type = models::AdapterType::kLora;
  const models::Adapter adapter = models::make_adapter(options, spec, weights, "tiny", 3, at::kFloat);
  return models::make_causal_lm(spec, weights, {.dtype = at::kFloat, .trainable = true, .adapter = &adapter});
}

TEST(ReduceGradients, AddsUpWhatIsTrainedAndNothingElse) {
  for (const auto& model :
       {test::tiny_model(test::tiny_spec(), 1, at::kBFloat16, /*trainable=*/true), model_with_adapter()}) {
    const Twin twin;
    Parameters parameters(*model, model->parameters(), twin);
    parameters.zero_gradients();
    for (const Parameter& entry : parameters.entries()) {
      if (entry.trainable) entry.gradient.fill_(1.5);
    }
    reduce_gradients(parameters);
    EXPECT_EQ(twin.numbers, parameters.size());
    EXPECT_EQ(twin.calls, 1) << "small tensors travel together";
    for (const Parameter& entry : parameters.entries()) {
      const bool is_right = !entry.trainable || entry.gradient.eq(3).all().item<bool>();
      EXPECT_TRUE(is_right) << entry.name;
    }
  }
}

// As before, but it notes when exchanges begin and arrive.
class Watched : public Twin {
 public:
  dist::Arrival begin_all_gather(const Tensor& own_N) const override {
    events += "begin ";
    return [this, arrival = Twin::begin_all_gather(own_N)] {
      events += "arrive ";
      return arrival();
    };
  }
  dist::Arrival begin_reduce_scatter(const Tensor& rows_WN) const override {
    events += "begin ";
    return [this, arrival = Twin::begin_reduce_scatter(rows_WN)] {
      events += "arrive ";
      return arrival();
    };
  }
  std::string since() const { return std::exchange(events, {}); }
  mutable std::string events;
};

TEST(GradientSums, BeginWhenAUnitIsComplete) {
  const auto model = test::tiny_model(test::tiny_spec(/*tied=*/false), 1, at::kFloat, /*trainable=*/true);
  const Watched ranks;
  Parameters parameters(*model, model->parameters(), ranks, dist::Shard::kOptimizer);
  for (const Parameter& entry : parameters.entries()) entry.gradient.fill_(1.5);
  GradientSums sums(parameters, /*few=*/1);
  for (const size_t unit : {3, 2, 1}) {
    sums.complete(unit);
    EXPECT_EQ(ranks.since(), "begin ") << unit;
  }
  sums.complete(1);
  EXPECT_EQ(ranks.since(), "");
  sums.finish();
  EXPECT_EQ(ranks.since(), "begin arrive arrive arrive arrive ");
  for (const Parameter& entry : parameters.entries())
    EXPECT_TRUE(entry.own_gradient.eq(3).all().item<bool>()) << entry.name;
}

// The embedding, two layers, the head; the other has the same numbers.
TEST(WeightParts, ComeWhileTheUnitBeforeComputes) {
  const Watched ranks;
  WeightParts store(ranks);
  for (size_t unit = 0; unit < 4; ++unit) store.take(unit, std::to_string(unit), at::ones({512}));
  store.begin_forward();
  store.gather(0);
  EXPECT_EQ(ranks.since(), "begin arrive begin ");
  for (const size_t unit : {1, 2}) {
    store.release(unit - 1);
    store.gather(unit);
    EXPECT_EQ(ranks.since(), "arrive begin ") << unit;
  }
  store.release(2);
  store.gather(3);
  EXPECT_EQ(ranks.since(), "arrive ");
  store.begin_gradients(3);
  EXPECT_EQ(ranks.since(), "begin ") << "the last layer, for the backward";
  store.release(3);
  store.gather(2);
  EXPECT_EQ(ranks.since(), "arrive begin ");
  store.release(2);
  store.gather(1);
  EXPECT_EQ(ranks.since(), "arrive ") << "the embedding's backward needs none of it";
}

// The head, two layers, the embedding: while one is added up, the one below computes.
TEST(WeightParts, AddUpGradientsWhileTheUnitBelowComputes) {
  const Watched ranks;
  WeightParts store(ranks);
  std::vector<Tensor> gradients, sums;
  for (size_t unit = 0; unit < 4; ++unit) {
    store.take(unit, std::to_string(unit), at::ones({512}));
    gradients.push_back(at::empty({512}));
    sums.push_back(at::zeros({256}));
    store.keep_gradient(std::to_string(unit), gradients[unit], sums[unit]);
  }
  for (size_t unit = 4; unit-- > 0;) {
    store.begin_gradients(unit);
    gradients[unit].fill_(1.5);
    store.end_gradients(unit);
    EXPECT_EQ(ranks.since(), unit == 3 ? "begin " : unit == 0 ? "arrive begin arrive " : "arrive begin ");
    const bool is_released = unit == 3 || gradients[unit + 1].storage().nbytes() == 0;
    EXPECT_TRUE(is_released) << "of the unit above " << unit;
  }
  for (const Tensor& sum : sums) EXPECT_TRUE(sum.eq(3).all().item<bool>());
}

TEST(SameWeights, NamesTheRankAndTheParameterThatDiffer) {
  const auto model = test::tiny_model(test::tiny_spec(), 1, at::kFloat, /*trainable=*/true);
  const Twin twin;
  const Liar liar(2 * 8 + 5);  // eight bytes a parameter
  for (const auto shard : {dist::Shard::kNone, dist::Shard::kOptimizer}) {
    EXPECT_NO_THROW(check_same_weights(Parameters(*model, model->parameters(), twin, shard), 3));
    const Parameters parameters(*model, model->parameters(), liar, shard);
    const std::string message =
        test::message_of(ErrorKind::kInternal, [&] { check_same_weights(parameters, 3); });
    EXPECT_THAT(message, testing::HasSubstr("after step 3 the weights of rank 1 are not those of rank 0"));
    EXPECT_THAT(message, testing::HasSubstr(parameters.masters()[2].first));
  }
}

}  // namespace
}  // namespace ddro::train
