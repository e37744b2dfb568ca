// Token by token with a cache is the whole forward, for every family and however sequences come and go.
#include "ddro/models/kv_cache.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include "parity/models/fixture_models.h"
#include "support/expect_error.h"

namespace ddro::test {
namespace {

std::unique_ptr<models::CausalLm> load(const std::string& name, at::ScalarType dtype,
                                       at::Device device = at::kCPU) {
  const models::ModelFolder folder = models::open_model_folder(model_fixture(name));
  return models::make_causal_lm(folder.spec, folder.tensors,
                                {.device = device, .dtype = dtype, .trainable = false});
}

// A cache whose sequences are fed from given ones; keeps the last logits of each.
class Feeder {
 public:
  Feeder(const models::CausalLm& model, std::int64_t max_sequences)
      : model_(model), cache_(model.spec(), max_sequences, model.head_weight().options()) {}

  // New sequences with the first `lengths[i]` tokens of each, from one packed forward.
  void prefill(const std::vector<Sequence>& sequences, const std::vector<std::int64_t>& lengths) {
    Packed packed;
    for (size_t i = 0; i < sequences.size(); ++i) {
      packed.add_whole(Sequence(sequences[i].begin(), sequences[i].begin() + lengths[i]));
    }
    const ops::AttentionLayout layout(packed.segments, device());
    models::PackedKeyValues kept;
    Sequence last;
    for (const Sequence& place : packed.places) last.push_back(place.back());
    models::ModelInput input;
    input.ids_T = to_device(packed.ids);
    input.positions_T = to_device(packed.positions);
    input.layout = &layout;
    input.output_positions_C = to_device(last);
    input.kept_kv = &kept;
    const Tensor logits = models::logits(model_, model_.hidden(input));
    for (size_t i = 0; i < sequences.size(); ++i) {
      cache_.append(kept, packed.segments[i].begin, packed.segments[i].length);
      tokens_.push_back(sequences[i]);
      logits_.push_back(logits[static_cast<std::int64_t>(i)]);
    }
  }

  // The next token of each sequence; one whose tokens are used up is removed first.
  void step() {
    for (size_t n = tokens_.size(); n-- > 0;) {
      if (cache_.lengths()[n] < static_cast<std::int64_t>(tokens_[n].size())) continue;
      cache_.remove(static_cast<std::int64_t>(n));
      std::swap(tokens_[n], tokens_.back());
      tokens_.pop_back();
    }
    logits_.clear();
    if (tokens_.empty()) return;
    Sequence ids, places;
    for (size_t n = 0; n < tokens_.size(); ++n) {
      ids.push_back(tokens_[n][static_cast<size_t>(cache_.lengths()[n])]);
      places.push_back(static_cast<std::int64_t>(n));
    }
    models::ModelInput input;
    input.ids_T = to_device(ids);
    input.positions_T = to_device(cache_.lengths());
    input.output_positions_C = to_device(places);
    input.cache = &cache_;
    const Tensor logits = models::logits(model_, model_.hidden(input));
    for (const std::int64_t n : places) logits_.push_back(logits[n]);
  }

  // Largest relative error of the last logits against the whole forward.
  double error() const {
    double largest = 0;
    for (size_t n = 0; n < logits_.size(); ++n) {
      Packed whole;
      whole.add_whole(Sequence(tokens_[n].begin(), tokens_[n].begin() + cache_.lengths()[n]));
      const Tensor expected = logits_of(model_, whole, device())[0][-1];
      largest = std::max(largest, relative_error(logits_[n], expected.to(at::kCPU)));
    }
    return largest;
  }

  size_t size() const { return tokens_.size(); }
  models::KvCache& cache() { return cache_; }

 private:
  at::Device device() const { return model_.head_weight().device(); }
  Tensor to_device(const Sequence& values) const { return at::tensor(values, at::kLong).to(device()); }

  const models::CausalLm& model_;
  models::KvCache cache_;
  std::vector<Sequence> tokens_;
  std::vector<Tensor> logits_;
};

Sequence random_tokens(std::int64_t length, std::uint64_t seed) {
  at::manual_seed(seed);
  const Tensor ids = at::randint(97, {length}, at::kLong);
  return {ids.const_data_ptr<std::int64_t>(), ids.const_data_ptr<std::int64_t>() + length};
}

class KvCacheParity : public ::testing::TestWithParam<std::string> {};

void feed_everything(const models::CausalLm& model, double tolerance) {
  const at::NoGradGuard no_grad;
  Feeder feeder(model, 4);
  feeder.prefill({random_tokens(9, 1), random_tokens(70, 2)}, {1, 60});
  EXPECT_LE(feeder.error(), tolerance);
  for (int step = 0; step < 4; ++step) {
    feeder.step();
    EXPECT_LE(feeder.error(), tolerance);
  }
  feeder.prefill({random_tokens(30, 3), random_tokens(12, 4)}, {2, 11});
  for (int step = 0; feeder.size() > 0; ++step) {
    ASSERT_LT(step, 100);
    feeder.step();
    EXPECT_LE(feeder.error(), tolerance) << "step " << step << ", " << feeder.size() << " sequences";
  }
}

TEST_P(KvCacheParity, IsTheWholeForwardInFloat64) { feed_everything(*load(GetParam(), at::kDouble), 1e-10); }

TEST_P(KvCacheParity, IsTheWholeForwardInFloat32) { feed_everything(*load(GetParam(), at::kFloat), 1e-5); }

TEST_P(KvCacheParity, IsTheWholeForwardOnTheGpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  feed_everything(*load(GetParam(), at::kFloat, at::kCUDA), 1e-4);
  feed_everything(*load(GetParam(), at::kBFloat16, at::kCUDA), 1e-1);
}

INSTANTIATE_TEST_SUITE_P(Models, KvCacheParity, ::testing::ValuesIn(kModelFixtures),
                         [](const auto& each) { return each.param; });

TEST(KvCache, GrowsByNeedUpToThePositions) {
  const at::NoGradGuard no_grad;
  const auto model = load("llama", at::kFloat);
  Feeder feeder(*model, 2);
  EXPECT_EQ(feeder.cache().bytes(), 0);
  const std::int64_t a_position = 2 * 2 * 3 * 2 * 12 * 4;  // sequences, k and v, layers, heads, width, bytes
  feeder.prefill({random_tokens(256, 5)}, {60});
  EXPECT_EQ(feeder.cache().bytes(), 64 * a_position);
  for (int step = 60; step < 256; ++step) feeder.step();
  EXPECT_EQ(feeder.cache().lengths(), Sequence{256});
  EXPECT_EQ(feeder.cache().bytes(), 256 * a_position);
  EXPECT_LE(feeder.error(), 1e-5);
}

TEST(KvCache, ChecksHowItIsUsed) {
  const auto model = load("llama", at::kFloat);
  const models::PackedKeyValues none;
  models::KvCache cache(model->spec(), 1, model->head_weight().options());
  const auto bug = [](const std::function<void()>& action) {
    return ddro::test::message_of(ErrorKind::kInternal, action);
  };
  EXPECT_THAT(bug([&] { cache.advance(); }), ::testing::HasSubstr("an empty cache"));
  EXPECT_THAT(bug([&] { cache.remove(0); }), ::testing::HasSubstr("no such sequence"));
  EXPECT_THAT(bug([&] { cache.append(none, 0, 1); }), ::testing::HasSubstr("every layer"));
  models::ModelInput input;
  input.ids_T = input.positions_T = at::zeros({1}, at::kLong);
  input.cache = &cache;
  EXPECT_THAT(bug([&] { model->hidden(input); }), ::testing::HasSubstr("without gradients"));
}

}  // namespace
}  // namespace ddro::test
