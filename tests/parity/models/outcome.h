// What a model computes of a fixture's sequences, however they are packed, and what a fixture expects.
#pragma once

#include <gtest/gtest.h>

#include "parity/models/fixture_models.h"

namespace ddro::test {

inline constexpr std::int64_t kShared = 5;  // tokens that the first two sequences have in common

struct Outcome {
  std::vector<Tensor> logits;
  std::map<std::string, Tensor> gradients;  // of what requires one
};

// One forward and backward for each batch; gradients add up.
inline Outcome run(const models::CausalLm& model, const std::vector<Packed>& batches) {
  Outcome result;
  for (const Packed& batch : batches) {
    Tensor loss;
    for (const Tensor& logits : logits_of(model, batch)) {
      const Tensor part = probe_loss(logits, static_cast<std::int64_t>(result.logits.size()));
      loss = loss.defined() ? loss + part : part;
      result.logits.push_back(logits.detach());
    }
    if (loss.requires_grad()) loss.backward();
  }
  for (const auto& [name, parameter] : model.parameters()) {
    if (parameter.grad().defined()) result.gradients[name] = parameter.grad();
  }
  return result;
}

inline void expect_same_bits(const Outcome& got, const Outcome& expected) {
  ASSERT_EQ(got.logits.size(), expected.logits.size());
  for (size_t i = 0; i < got.logits.size(); ++i)
    EXPECT_TRUE(at::equal(got.logits[i], expected.logits[i])) << "logits of sequence " << i;
  ASSERT_FALSE(expected.gradients.empty());
  ASSERT_EQ(got.gradients.size(), expected.gradients.size());
  for (const auto& [name, gradient] : expected.gradients)
    EXPECT_TRUE(at::equal(got.gradients.at(name), gradient)) << "gradient of " << name;
}

inline std::vector<Packed> one_by_one(const std::vector<Sequence>& sequences) {
  std::vector<Packed> batches;
  for (const Sequence& tokens : sequences) batches.emplace_back().add_whole(tokens);
  return batches;
}

inline std::vector<Packed> sharing_prefix(const std::vector<Sequence>& sequences) {
  std::vector<Packed> batches(1);
  batches[0].add_sharing({sequences[0], sequences[1]}, kShared);
  for (size_t i = 2; i < sequences.size(); ++i) batches[0].add_whole(sequences[i]);
  return batches;
}

inline Outcome expected_run(const Expected& expected, const std::string& tag) {
  Outcome result;
  for (size_t i = 0; i < expected.sequences.size(); ++i)
    result.logits.push_back(expected.values.at(tag + ".logits." + std::to_string(i)));
  const std::string prefix = tag + ".grad.";
  for (const auto& [key, value] : expected.values) {
    if (key.starts_with(prefix)) result.gradients[key.substr(prefix.size())] = value;
  }
  return result;
}

}  // namespace ddro::test
