// One variant of the training step (forward, loss and backward; with --update the optimizer too), timed, with
// the process's peak memory:
//
//   step_bench --model DIR --data FILE [--variant NAME]     on a real model and real pairs
//   step_bench --vocab V --length T                          on a small random model: one pair of T-token
//   sequences
//
// Prints one JSON object; --profile adds to it the seconds of one more step's phases and operations.
// benchmarks/ablations.py, benchmarks/sizes.py and benchmarks/step_profile.py run it.
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "ddro/base/heap.h"
#include "ddro/base/json.h"
#include "ddro/data/packed_batch.h"
#include "ddro/losses/objective.h"
#include "ddro/models/model_folder.h"
#include "ddro/ops/tensor_memory.h"
#include "ddro/train/log_probs.h"
#include "ddro/train/model_batch.h"
#include "ddro/train/optimizer.h"
#include "ddro/train/score.h"
#include "ddro/train/step.h"
#include "ddro/train/throughput.h"
#include "doctor/profile.h"
#include "support/tiny_model.h"

namespace ddro {
namespace {

struct Arguments {
  std::string model;
  std::string data;
  std::string variant = "full";
  std::int64_t pairs = 16;
  std::int64_t steps = 3;
  std::int64_t micro_batch_tokens = 2048;
  std::int64_t vocab = 32768;
  std::int64_t length = 1024;
  at::ScalarType dtype = at::kFloat;
  bool cached = false;
  bool update = false;
  bool profile = false;
};

struct Problem {
  std::unique_ptr<models::CausalLm> policy;
  std::unique_ptr<models::CausalLm> reference;
  models::ModelFolder folder;  // whose memory a frozen model may use
  data::Dataset dataset;
};

Problem real_problem(const Arguments& arguments) {
  Problem problem;
  problem.folder = models::open_model_folder(arguments.model);
  const text::ModelText text = text::load_model_text(arguments.model, std::nullopt);
  problem.dataset = data::load_dataset({arguments.data}, {}, text, 0);
  models::BuildOptions options;
  options.dtype = arguments.dtype;
  problem.policy = models::make_causal_lm(problem.folder.spec, problem.folder.tensors, options);
  options.trainable = false;
  problem.reference = models::make_causal_lm(problem.folder.spec, problem.folder.tensors, options);
  return problem;
}

Problem random_problem(const Arguments& arguments) {
  models::ModelSpec config = test::tiny_spec();
  config.vocab_size = arguments.vocab;
  config.max_position_embeddings = arguments.length;
  Problem problem;
  problem.policy = test::tiny_model(config, 1, arguments.dtype, /*trainable=*/true);
  problem.reference = test::tiny_model(config, 1, arguments.dtype, /*trainable=*/false);
  data::EncodedExample example;
  for (const auto completion_class : {data::CompletionClass::kChosen, data::CompletionClass::kRejected}) {
    std::vector<text::TokenId> ids;
    for (std::int64_t i = 0; i < arguments.length; ++i) {
      const auto step = completion_class == data::CompletionClass::kChosen ? 7919 : 104729;
      ids.push_back(static_cast<text::TokenId>(i * step % arguments.vocab));
    }
    example.sequences.push_back({ids, 1, completion_class});
  }
  problem.dataset.examples.push_back(std::move(example));
  problem.dataset.wheres.push_back("random");
  return problem;
}

data::StepPlan make_plan(const Problem& problem, const Arguments& arguments) {
  std::vector<std::int64_t> examples(
      std::min<size_t>(problem.dataset.examples.size(), static_cast<size_t>(arguments.pairs)));
  std::iota(examples.begin(), examples.end(), 0);
  data::PackOptions options;
  options.micro_batch_tokens = arguments.micro_batch_tokens;
  if (arguments.variant == "unshared" || arguments.variant == "padded") {
    options.min_shared_tokens = std::numeric_limits<std::int64_t>::max();
  }
  return data::plan_step(problem.dataset, examples, options);
}

// Every sequence of a micro-batch filled up to the longest with tokens that nothing looks at.
void pad(data::PackedBatch& batch) {
  std::int64_t longest = 0;
  for (const data::Segment& segment : batch.segments) longest = std::max(longest, segment.length);
  data::PackedBatch padded;
  std::vector<std::int64_t> moved(batch.ids_T.size());
  for (const data::Segment& segment : batch.segments) {
    const auto begin = static_cast<std::int64_t>(padded.ids_T.size());
    padded.segments.push_back({begin, longest, -1, 0});
    for (std::int64_t i = 0; i < longest; ++i) {
      const auto from = static_cast<size_t>(segment.begin + i);
      if (i < segment.length) moved[from] = begin + i;
      padded.ids_T.push_back(i < segment.length ? batch.ids_T[from] : 0);
      padded.positions_T.push_back(i);
    }
  }
  for (std::int64_t& position : batch.logit_positions_C) position = moved[static_cast<size_t>(position)];
  batch.ids_T = std::move(padded.ids_T);
  batch.positions_T = std::move(padded.positions_T);
  batch.segments = std::move(padded.segments);
}

// The step as a composition of differentiable functions: all logits of a micro-batch at once, and autograd.
void composed_step(const Problem& problem, const data::StepPlan& plan, const losses::Objective& objective) {
  std::vector<losses::ScoredCompletion> rows(static_cast<size_t>(plan.num_completions()));
  for (const data::PackedBatch& batch : plan.micro_batches) {
    train::fill_completions(batch, rows);
    const train::ModelBatch on_device(batch, at::kCPU);
    const std::vector<double> reference =
        train::ModelLogProbs(*problem.reference).of(batch, on_device, /*keep_pairs=*/true);
    const Tensor hidden_CD = problem.policy->hidden(on_device.input());
    const Tensor logits_CV = at::linear(hidden_CD, problem.policy->head_weight());
    const Tensor targets_C1 = at::tensor(batch.targets_C, at::kLong).unsqueeze(1);
    const Tensor logp_C = at::log_softmax(logits_CV, -1).gather(1, targets_C1).squeeze(1);
    Tensor sum = at::zeros({});
    std::vector<losses::ScoredCompletion> local;
    std::vector<Tensor> logps;
    for (size_t i = 0; i < batch.completions.size(); ++i) {
      logps.push_back(logp_C.slice(0, batch.completion_offsets[i], batch.completion_offsets[i + 1]).sum());
      losses::ScoredCompletion row = rows[static_cast<size_t>(batch.completions[i].step_index)];
      row.logp = logps.back().item<double>();
      row.ref_logp = reference[i];
      local.push_back(row);
    }
    std::vector<double> loss(local.size()), derivative(local.size());
    objective.evaluate(local, plan.counts, loss, derivative);
    for (size_t i = 0; i < local.size(); ++i) sum = sum + logps[i] * derivative[i];
    sum.backward();
  }
}

std::unique_ptr<train::LogProbs> make_reference(const Problem& problem, const data::StepPlan& plan,
                                                const Arguments& arguments) {
  auto model = std::make_unique<train::ModelLogProbs>(*problem.reference);
  if (!arguments.cached) return model;
  return std::make_unique<train::LogProbTable>(problem.dataset, *train::score(*model, plan, at::kCPU));
}

Json to_json(const std::vector<doctor::KernelTime>& times) {
  Json list = Json::array();
  for (const doctor::KernelTime& time : times)
    list.push_back({{"name", time.name}, {"calls", time.calls}, {"seconds", time.seconds}});
  return list;
}

int run(const Arguments& arguments) {
  const Problem problem = arguments.model.empty() ? random_problem(arguments) : real_problem(arguments);
  data::StepPlan plan = make_plan(problem, arguments);
  if (arguments.variant == "padded") {
    plan.packed_tokens = 0;
    for (data::PackedBatch& batch : plan.micro_batches) {
      pad(batch);
      plan.packed_tokens += static_cast<std::int64_t>(batch.ids_T.size());
    }
  }
  losses::ObjectiveOptions options;
  const auto objective = losses::make_objective(options, 0.5);
  const std::unique_ptr<train::LogProbs> reference = make_reference(problem, plan, arguments);
  train::Parameters parameters(*problem.policy, problem.policy->parameters());
  std::optional<train::Optimizer> optimizer;
  if (arguments.update) optimizer.emplace(parameters, train::OptimizerOptions());
  parameters.zero_gradients();
  const auto step = [&] {
    if (optimizer) parameters.zero_gradients();
    if (arguments.variant == "composed_head") {
      composed_step(problem, plan, *objective);
    } else {
      train::compute_step(*problem.policy, reference.get(), plan, plan.counts, *objective, parameters);
    }
    if (!optimizer) return;
    parameters.gradient_norm();
    optimizer->step(/*learning_rate=*/1e-6, /*gradient_scale=*/1);
  };
  const std::int64_t before = train::peak_memory_bytes(at::kCPU);
  Json seconds = Json::array();
  for (std::int64_t i = 0; i < arguments.steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    step();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  Json result = {
      {"variant", arguments.variant},
      {"seconds", seconds},
      {"packed_tokens", plan.packed_tokens},
      {"sequence_tokens", plan.num_tokens},
      {"memory_before_step_bytes", before},
      {"peak_memory_bytes", train::peak_memory_bytes(at::kCPU)},
      {"flops", train::step_flops(problem.policy->spec(), nullptr, plan, reference->is_live())},
      {"matmul_rate", train::measure_matmul_rate(at::kCPU, arguments.dtype)},
  };
  if (arguments.profile) {
    const doctor::Profile profile = doctor::profile(at::kCPU, step);
    result["phases"] = to_json(profile.phases);
    result["operations"] = to_json(profile.kernels);
  }
  std::puts(result.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace ddro

int main(int argc, char** argv) {
  ddro::keep_freed_memory();
  ddro::ops::keep_tensors_in_blocks();
  CLI::App app("Times one variant of the training step on the CPU");
  ddro::Arguments arguments;
  app.add_option("--model", arguments.model, "A model folder; without it a small random model");
  app.add_option("--data", arguments.data, "Pairs for --model");
  app.add_option("--variant", arguments.variant)
      ->check(CLI::IsMember({"full", "composed_head", "unshared", "padded"}));
  app.add_option("--pairs", arguments.pairs);
  app.add_option("--steps", arguments.steps);
  app.add_option("--micro-batch-tokens", arguments.micro_batch_tokens);
  app.add_option("--vocab", arguments.vocab);
  app.add_option("--length", arguments.length);
  app.add_option("--dtype", arguments.dtype)
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, at::ScalarType>{{"float32", at::kFloat}, {"bfloat16", at::kBFloat16}}));
  app.add_option("--cached", arguments.cached, "Reference values from a table instead of a model");
  app.add_option("--update", arguments.update, "With the optimizer, whose moments then count as memory");
  app.add_option("--profile", arguments.profile);
  CLI11_PARSE(app, argc, argv);
  return ddro::run(arguments);
}
