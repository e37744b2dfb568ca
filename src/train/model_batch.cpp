#include "ddro/train/model_batch.h"

#include <ATen/ATen.h>

#include "ddro/ops/upload.h"

namespace ddro::train {
namespace {

std::vector<ops::AttentionSegment> attention_segments(const std::vector<data::Segment>& segments) {
  std::vector<ops::AttentionSegment> out;
  for (const data::Segment& segment : segments) {
    out.push_back({segment.begin, segment.length, segment.parent});
  }
  return out;
}

}  // namespace

// What follows waits for nothing: on a GPU this is done while the backward before it is computed.
ModelBatch::ModelBatch(const data::PackedBatch& batch, at::Device device)
    : layout_(attention_segments(batch.segments), device), completion_offsets_(batch.completion_offsets) {
  const std::vector<Tensor> there = ops::upload(
      {batch.ids_T, batch.positions_T, batch.num_completions_T, batch.logit_positions_C, batch.targets_C},
      device);
  ids_T_ = there[0];
  positions_T_ = there[1];
  num_completions_T_ = there[2];
  output_positions_C_ = there[3];
  targets_C_ = there[4];
}

models::ModelInput ModelBatch::input() const {
  models::ModelInput input;
  input.ids_T = ids_T_;
  input.positions_T = positions_T_;
  input.layout = &layout_;
  input.output_positions_C = output_positions_C_;
  return input;
}

ops::HeadInput ModelBatch::head_input(const Tensor& hidden_CD, const models::CausalLm& model) const {
  return {hidden_CD.detach(),
          model.head_weight().detach(),
          targets_C_,
          completion_offsets_,
          model.spec().logit_softcap.value_or(0),
          model.head_bias().defined() ? model.head_bias().detach() : Tensor()};
}

std::vector<std::int64_t> unit_offsets(const data::PackedBatch& batch, bool keep_pairs) {
  std::vector<std::int64_t> offsets{0};
  const auto& completions = batch.completions;
  for (size_t i = 0; i < completions.size(); ++i) {
    const bool pair_goes_on =
        keep_pairs && i + 1 < completions.size() && completions[i].partner == completions[i + 1].step_index;
    if (!pair_goes_on) offsets.push_back(static_cast<std::int64_t>(i) + 1);
  }
  return offsets;
}

}  // namespace ddro::train
