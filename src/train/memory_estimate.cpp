// Legend: T packed tokens, C completion tokens, D width, F feed-forward width, V vocabulary.
#include "ddro/train/memory_estimate.h"

#include <ATen/ATen.h>
#include <c10/util/accumulate.h>

#include <algorithm>

#include "ddro/base/memory.h"
#include "ddro/models/weight_units.h"
#include "ddro/ops/logprob_head.h"
#include "ddro/ops/product.h"
#include "ddro/train/model_batch.h"
#include "ddro/train/moment.h"
#include "train/exchange_parts.h"

namespace ddro::train {
namespace {

// Measured on Linux with glibc: what LibTorch's kernels touch once they run, and the share by which the heap
// outgrows what lives in it when large blocks of changing sizes come and go.
constexpr double kRuntimeBytes = 60e6;
constexpr double kHeapSlack = 0.2;

// Resident memory of this process without the pages of mapped weight files.
double resident_bytes(double mapped_weights) {
  return std::max(0.0, resident_memory().value_or(0) - mapped_weights);
}

// What ops::varlen_attention takes blocks of queries for on the CPU; they keep no copies but those in float32
// of a shorter type.
bool attends_by_blocks(const models::AttentionSpec& attention, const MemoryModel& model) {
  return model.device.is_cpu() && model.dtype != at::kDouble && !attention.softcap && !attention.alibi &&
         attention.sinks_name.empty();
}

struct BatchSize {
  double tokens = 0;             // T
  double completion_tokens = 0;  // C
  double queries = 0;            // of the other attention calls, padding included
  double keys = 0;
  double scores = 0;  // pairs of a query and a key
};

BatchSize size_of(const data::PackedBatch& batch, const MemoryModel& model) {
  BatchSize size;
  size.tokens = static_cast<double>(batch.ids_T.size());
  size.completion_tokens = static_cast<double>(batch.targets_C.size());
  if (model.device.is_cuda()) {
    for (const data::Segment& segment : batch.segments) {
      size.queries += static_cast<double>(segment.length);
      size.keys += static_cast<double>(segment.prefix_length + segment.length);
      size.scores += static_cast<double>(segment.length * (segment.prefix_length + segment.length));
    }
    return size;
  }
  const ModelBatch layout_only(batch, at::kCPU);
  for (const ops::AttentionGroup& group : layout_only.input().layout->groups().groups) {
    size.queries += static_cast<double>(group.num_segments * group.query_length);
    size.keys += static_cast<double>(group.num_segments * group.key_length);
    size.scores += static_cast<double>(group.num_segments * group.query_length * group.key_length);
  }
  return size;
}

// Between the products of a feed-forward: gate and up; behind other activations than silu also theirs and the
// product; behind a limit also what is cut, its sigmoid and both factors; without a gate the activation's
// argument and value.
double kept_inner_numbers(const models::FeedForwardSpec& feed_forward) {
  if (feed_forward.limit) return 7 * static_cast<double>(feed_forward.up.out);
  const bool composed = feed_forward.gated() && feed_forward.activation != models::Activation::kSilu;
  return (composed ? 4 : 2) * static_cast<double>(feed_forward.up.out);
}

// Numbers a token that an adapter computes beside a product.
double beside_numbers(const models::AdaptedLinear& adapted, bool dora) {
  return static_cast<double>(adapted.rank + (dora ? adapted.linear.out : 0));
}

// Numbers a token that products with one input keep: that, where it takes part in a gradient of a weight, and
// what adapters compute beside them. `kept`: whether it is kept at all, or computed again.
double product_numbers(const MemoryModel& model, const std::vector<const models::LinearSpec*>& products,
                       bool kept = true) {
  double input = 0, beside = 0;
  for (const models::LinearSpec* product : products) {
    const models::AdaptedLinear* adapted = model.adapter ? model.adapter->find(product->name) : nullptr;
    if (kept && (!model.adapter || adapted)) input = std::max(input, static_cast<double>(product->in));
    if (adapted) beside += beside_numbers(*adapted, model.adapter->dora);
  }
  return input + beside;
}

double feed_forward_numbers(const models::FeedForwardSpec& feed_forward, const MemoryModel& model) {
  return product_numbers(model, {&feed_forward.gate, &feed_forward.up, &feed_forward.fused}) +
         product_numbers(model, {&feed_forward.down}, /*kept=*/false) + kept_inner_numbers(feed_forward);
}

// For each chosen expert what a feed-forward keeps, and its result; the router's logits and their softmax;
// the shared expert with its result.
double experts_numbers(const models::ExpertsSpec& experts, const MemoryModel& model) {
  const auto width = static_cast<double>(experts.router.in);
  double numbers =
      product_numbers(model, {&experts.router, &experts.shared_gate}) +
      2 * static_cast<double>(experts.num_experts()) +
      static_cast<double>(experts.top_k) * (feed_forward_numbers(experts.expert(0), model) + width);
  if (experts.shared) numbers += feed_forward_numbers(*experts.shared, model) + width;
  return numbers;
}

double inner_numbers(const models::LayerSpec& layer, const MemoryModel& model) {
  return layer.experts ? experts_numbers(*layer.experts, model)
                       : feed_forward_numbers(layer.feed_forward, model);
}

// Width of all that a token goes through between its norm and what is added to it.
double inner_width(const models::LayerSpec& layer) {
  if (!layer.experts) return static_cast<double>(layer.feed_forward.up.out);
  const models::ExpertsSpec& experts = *layer.experts;
  return static_cast<double>(experts.top_k * experts.expert(0).up.out +
                             (experts.shared ? experts.shared->up.out : 0));
}

// Queries, keys and values as the attention takes them, its biases, and its result where it is padded.
double attention_numbers(const models::AttentionSpec& attention, const BatchSize& size,
                         const MemoryModel& model) {
  const auto queries = static_cast<double>(attention.query.out);
  const auto keys = static_cast<double>(attention.key.out);
  const auto heads = static_cast<double>(attention.num_heads);
  if (attends_by_blocks(attention, model)) {
    const double wide =
        static_cast<double>(sizeof(float)) / static_cast<double>(at::elementSize(model.dtype));
    const double copied_result = wide > 1 ? queries : 0;
    return size.tokens * wide * (queries + 2 * keys + heads + copied_result);
  }
  return size.queries * (2 * queries + heads) + size.keys * 2 * keys +
         (attention.alibi ? size.scores * heads : 0);
}

// Numbers that one layer's forward keeps: the inputs of both norms and of the products behind them, what the
// attention keeps, and the feed-forward's.
double layer_numbers(const models::LayerSpec& layer, const BatchSize& size, const MemoryModel& model) {
  const models::AttentionSpec& attention = layer.attention;
  const auto width = static_cast<double>(attention.output.out);
  const auto queries = static_cast<double>(attention.query.out);
  const auto keys = static_cast<double>(attention.key.out);
  const double products =
      product_numbers(model, {&attention.query, &attention.key, &attention.value, &attention.fused}) +
      product_numbers(model, {&attention.output});
  double numbers = size.tokens * (2 * width + products + inner_numbers(layer, model)) +
                   attention_numbers(attention, size, model);
  if (attention.query_norm) numbers += size.tokens * queries;
  if (attention.key_norm) numbers += size.tokens * keys;
  return numbers;
}

// Of all layers' forwards, and of the backward of the largest.
struct LayerSums {
  double numbers = 0;
  double largest = 0;
  double backward = 0;
};

LayerSums sum_layers(const MemoryModel& model, const BatchSize& size) {
  const models::ModelSpec& spec = model.spec;
  LayerSums sums;
  for (const models::LayerSpec& layer : spec.layers) {
    const double numbers = layer_numbers(layer, size, model);
    const double backward =
        size.tokens * (4 * inner_width(layer) + 3 * static_cast<double>(spec.hidden_size));
    sums.numbers += numbers;
    sums.largest = std::max(sums.largest, numbers);
    sums.backward = std::max(sums.backward, backward);
  }
  return sums;
}

double activation_bytes(const MemoryModel& model, const BatchSize& size) {
  const auto element = static_cast<double>(at::elementSize(model.dtype));
  const auto width = static_cast<double>(model.spec.hidden_size);
  const auto layers = static_cast<double>(model.spec.layers.size());
  const LayerSums sums = sum_layers(model, size);
  const double kept =
      model.gradient_checkpointing ? layers * size.tokens * width + sums.largest : sums.numbers;
  const double outputs = 3 * size.completion_tokens * width;
  return element * (kept + sums.backward + outputs);
}

std::int64_t trained_numbers(const MemoryModel& model) {
  return model.adapter ? models::num_parameters(*model.adapter) : model.num_parameters;
}

// Of the largest weight that is unpacked or widened for a product.
double unpacked_bytes(const MemoryModel& model) {
  const at::ScalarType type = ops::product_type(model.dtype, model.device);
  if (model.packed_bytes == 0 && type == model.dtype) return 0;
  std::int64_t largest = 0;
  for (const models::LinearSpec& linear : models::linears_of(model.spec))
    largest = std::max(largest, linear.in * linear.out);
  return static_cast<double>(largest) * static_cast<double>(at::elementSize(type));
}

double master_size(at::ScalarType dtype) { return dtype == at::kDouble ? 8 : 4; }

PartCounts part_counts(const MemoryModel& model) {
  const dist::Shard shard = shard_of(model);
  return {.weights = shard == dist::Shard::kFull ? model.num_ranks : 1,
          .moments = shard == dist::Shard::kNone ? 1 : model.num_ranks};
}

double numbers_in(const std::vector<models::ParameterSpec>& unit) {
  double numbers = 0;
  for (const models::ParameterSpec& each : unit)
    numbers += static_cast<double>(c10::multiply_integers(each.shape));
  return numbers;
}

// What a unit of so many bytes has beside itself while it is added up: what comes of it, or on a GPU a copy
// that is sent and the sum.
double sum_bytes(const MemoryModel& model, double bytes) {
  const double part = 1.0 / model.num_ranks;
  return bytes * (model.device.is_cpu() ? 1 - part : 1 + part);
}

// The head; in the backward, beside its gradient while that is added up or kept (of a head that is tied), the
// largest layer; beside that layer the gradient of the one above. And meanwhile the next layer, which a GPU
// gathers in a copy, with the rank's part that is sent.
double gathered_bytes(const MemoryModel& model) {
  const auto compute = static_cast<double>(at::elementSize(model.dtype));
  const double gradient = model.adapter ? 0 : master_size(model.dtype);  // of a frozen base there are none
  const auto units = models::units_of(model.spec);
  const bool is_tied = model.spec.tie_word_embeddings;
  const double head = numbers_in(is_tied ? units.front() : units.back());
  double layer = 0;
  for (size_t i = 0; i < model.spec.layers.size(); ++i) layer = std::max(layer, numbers_in(units[1 + i]));
  if (model.device.is_cpu()) {
    // All of it is kept for the next time, by each model.
    return (head + 2 * layer) * (compute * (model.live_reference ? 2 : 1) + gradient) +
           sum_bytes(model, std::max(head, layer) * gradient);
  }
  const double above = layer * gradient + sum_bytes(model, layer * gradient);
  const double behind_head = is_tied ? above : sum_bytes(model, head * gradient);
  const double in_layers = layer * (compute + gradient) + std::max(above, head * gradient + behind_head);
  return std::max(head * (compute + gradient), in_layers) + layer * compute * (2 + 1.0 / model.num_ranks);
}

}  // namespace

double weight_bytes(std::int64_t num_parameters, at::ScalarType dtype, MomentDType moment_dtype,
                    bool live_reference, PartCounts parts, double num_moments) {
  const auto compute = static_cast<double>(at::elementSize(dtype));
  const double master = master_size(dtype);
  const double separate_master = compute < master ? master : 0;
  const double gradient = master;
  return static_cast<double>(num_parameters) *
         ((compute + gradient + (live_reference ? compute : 0)) / parts.weights +
          (separate_master + num_moments * moment_bytes(moment_dtype, master)) / parts.moments);
}

dist::Shard shard_of(const MemoryModel& model) {
  return model.num_ranks > 1 ? model.shard : dist::Shard::kNone;
}

double weight_bytes(const MemoryModel& model) {
  const PartCounts parts = part_counts(model);
  if (!model.adapter)
    return weight_bytes(model.num_parameters, model.dtype, model.moment_dtype, model.live_reference, parts,
                        model.num_moments);
  const double in_dtype =
      static_cast<double>(model.num_parameters) * static_cast<double>(at::elementSize(model.dtype));
  const auto bytes = [&](double packed) { return packed > 0 ? packed : in_dtype; };
  const double frozen =
      bytes(model.packed_bytes) + (model.live_reference ? bytes(model.packed_reference_bytes) : 0);
  return frozen / parts.weights + weight_bytes(trained_numbers(model), model.dtype, model.moment_dtype, false,
                                               {.moments = parts.moments}, model.num_moments);
}

double checkpoint_bytes(std::int64_t num_parameters, at::ScalarType dtype, MomentDType moment_dtype,
                        double num_moments) {
  const double master = master_size(dtype);
  return static_cast<double>(num_parameters) * (master + num_moments * moment_bytes(moment_dtype, master));
}

double checkpoint_bytes(const MemoryModel& model) {
  return checkpoint_bytes(trained_numbers(model), model.dtype, model.moment_dtype, model.num_moments);
}

MemoryEstimate estimate_memory(const MemoryModel& model, const data::StepPlan& plan) {
  MemoryEstimate estimate;
  estimate.weights = weight_bytes(model);
  for (const data::PackedBatch& batch : plan.micro_batches) {
    const BatchSize size = size_of(batch, model);
    estimate.activations = std::max(estimate.activations, activation_bytes(model, size));
    const double chunk =
        std::min(size.completion_tokens,
                 static_cast<double>(ops::default_chunk_tokens(model.spec.vocab_size, model.device)));
    estimate.head = std::max(estimate.head, chunk * static_cast<double>(model.spec.vocab_size) *
                                                ops::bytes_of_logit(model.dtype, model.device));
  }
  estimate.activations += unpacked_bytes(model);
  const bool gathers = shard_of(model) == dist::Shard::kFull;
  if (gathers) estimate.gathered = gathered_bytes(model);
  if (model.num_ranks > 1 && (!gathers || model.adapter))
    estimate.exchange = most_exchanged(trained_numbers(model), model.device) * master_size(model.dtype);
  if (model.device.is_cpu()) {
    estimate.process = resident_bytes(model.mapped_bytes) + kRuntimeBytes + kHeapSlack * estimate.activations;
    if (model.copies_checkpoints) estimate.copy = checkpoint_bytes(model) / model.num_ranks;
  }
  return estimate;
}

}  // namespace ddro::train
