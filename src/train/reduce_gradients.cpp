#include "train/reduce_gradients.h"

#include <algorithm>
#include <functional>

namespace ddro::train {
namespace {

std::vector<const Parameter*> from_last_unit(const Parameters& parameters) {
  std::vector<const Parameter*> entries;
  for (const Parameter& entry : parameters.entries()) {
    if (entry.trainable && !entry.in_parts) entries.push_back(&entry);
  }
  std::ranges::stable_sort(entries, std::greater(), [](const Parameter* entry) { return entry->unit; });
  return entries;
}

}  // namespace

GradientSums::GradientSums(const Parameters& parameters, std::int64_t few) : parameters_(parameters) {
  if (parameters.ranks().size() == 1) return;
  std::int64_t numbers = 0;
  for (const Parameter* entry : from_last_unit(parameters)) {
    if (buckets_.empty() || (numbers >= few && buckets_.back().unit != entry->unit)) {
      buckets_.emplace_back();
      numbers = 0;
    }
    buckets_.back().unit = entry->unit;
    buckets_.back().gradients.push_back(entry->gradient);
    numbers += entry->gradient.numel();
  }
}

void GradientSums::complete(size_t unit) {
  for (; num_begun_ < buckets_.size() && buckets_[num_begun_].unit >= unit; ++num_begun_)
    begin(buckets_[num_begun_]);
}

std::function<void(size_t)> GradientSums::on_complete() {
  if (buckets_.size() < 2) return nullptr;
  return [this](size_t unit) { complete(unit); };
}

void GradientSums::finish() {
  complete(0);
  begun_.finish();
}

void GradientSums::begin(const Bucket& bucket) {
  if (parameters_.is_sharded()) {
    begin_reduce_scatter_parts(bucket.gradients, parameters_.ranks(), begun_);
  } else {
    begin_all_reduce(bucket.gradients, parameters_.ranks(), begun_);
  }
}

void reduce_gradients(const Parameters& parameters) { GradientSums(parameters).finish(); }

}  // namespace ddro::train
