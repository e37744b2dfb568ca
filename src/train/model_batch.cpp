#include "ddro/train/model_batch.h"

#include <ATen/ATen.h>

namespace ddro::train {
namespace {

Tensor to_device(const std::vector<std::int64_t>& values, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kLong);
  // The copy owns its memory also where the device is the CPU.
  return at::from_blob(const_cast<std::int64_t*>(values.data()), {static_cast<std::int64_t>(values.size())},
                       options)
      .to(device, at::kLong, /*non_blocking=*/false, /*copy=*/true);
}

std::vector<ops::AttentionSegment> attention_segments(const std::vector<data::Segment>& segments) {
  std::vector<ops::AttentionSegment> out;
  for (const data::Segment& segment : segments) {
    out.push_back({segment.begin, segment.length, segment.parent});
  }
  return out;
}

}  // namespace

ModelBatch::ModelBatch(const data::PackedBatch& batch, at::Device device)
    : layout_(attention_segments(batch.segments), device),
      ids_T_(to_device(batch.ids_T, device)),
      positions_T_(to_device(batch.positions_T, device)),
      num_rows_T_(to_device(batch.num_rows_T, device)),
      output_positions_C_(to_device(batch.logit_positions_C, device)),
      targets_C_(to_device(batch.targets_C, device)),
      row_offsets_(batch.row_offsets) {}

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
          row_offsets_,
          model.spec().logit_softcap.value_or(0),
          model.head_bias().defined() ? model.head_bias().detach() : Tensor()};
}

std::vector<std::int64_t> unit_offsets(const data::PackedBatch& batch, bool keep_pairs) {
  std::vector<std::int64_t> offsets{0};
  const auto& rows = batch.rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool pair_goes_on = keep_pairs && i + 1 < rows.size() && rows[i].partner == rows[i + 1].step_row;
    if (!pair_goes_on) offsets.push_back(static_cast<std::int64_t>(i) + 1);
  }
  return offsets;
}

}  // namespace ddro::train
