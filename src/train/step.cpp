#include "ddro/train/step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "ddro/base/error.h"
#include "ddro/dist/shares.h"
#include "ddro/ops/logprob_head.h"
#include "ddro/train/model_batch.h"
#include "ddro/train/score.h"
#include "ddro/train/throughput.h"

namespace ddro::train {
namespace {

bool pairs_are_whole(const data::StepPlan& plan) {
  return std::all_of(
      plan.micro_batches.begin(), plan.micro_batches.end(), [](const data::PackedBatch& batch) {
        const auto& completions = batch.completions;
        for (size_t i = 0; i < completions.size(); ++i) {
          if (completions[i].partner < 0) continue;
          const bool next =
              i + 1 < completions.size() && completions[i + 1].step_index == completions[i].partner;
          const bool previous = i > 0 && completions[i - 1].step_index == completions[i].partner;
          if (!next && !previous) return false;
        }
        return true;
      });
}

dist::Shares share_out(const models::CausalLm& policy, const data::StepPlan& plan,
                       const dist::Communicator& ranks) {
  std::vector<double> costs;
  for (const data::PackedBatch& batch : plan.micro_batches)
    costs.push_back(forward_flops(policy.spec(), batch));
  if (policy.weight_store() == nullptr) return dist::balanced_shares(costs, ranks.size());
  // Each micro-batch takes part in those of the other ranks: as few rounds as can be.
  const auto num_ranks = static_cast<size_t>(ranks.size());
  return dist::balanced_shares(costs, ranks.size(), (costs.size() + num_ranks - 1) / num_ranks);
}

// One step's computation; keeps what its micro-batches share.
class StepComputation {
 public:
  StepComputation(const models::CausalLm& policy, const LogProbs* reference, const data::StepPlan& plan,
                  const BatchCounts& counts, const losses::Objective& objective, Parameters& parameters,
                  double router_aux_loss_coef, const dist::Communicator& ranks,
                  const std::function<void(size_t)>& on_complete)
      : policy_(policy),
        reference_(reference),
        plan_(plan),
        objective_(objective),
        parameters_(parameters),
        ranks_(ranks),
        on_complete_(on_complete),
        shares_(share_out(policy, plan, ranks)),
        counts_(counts),
        router_aux_loss_coef_(router_aux_loss_coef),
        keep_pairs_(objective.locality() == losses::Locality::kPair),
        completion_loss_(static_cast<size_t>(plan.num_completions())),
        derivative_(static_cast<size_t>(plan.num_completions())) {
    result_.completions.resize(static_cast<size_t>(plan.num_completions()));
    for (const data::PackedBatch& batch : plan.micro_batches) fill_completions(batch, result_.completions);
    if (router_aux_loss_coef > 0) balance_.emplace(models::num_experts(policy.spec()), device());
  }

  StepResult run() {
    const bool one_pass =
        objective_.locality() == losses::Locality::kCompletion || (keep_pairs_ && pairs_are_whole(plan_));
    if (!one_pass && !is_alone()) {
      score_all();
      evaluate_all();
    }
    if (balance_ && (plan_.micro_batches.size() > 1 || ranks_.size() > 1)) measure_balance();
    for_own_batches([&](const data::PackedBatch& batch,
                        bool is_last) { add_gradients(batch, one_pass, is_last ? on_complete_ : nullptr); },
                    [&] { take_part(one_pass); });
    if (on_complete_) on_complete_(0);  // before the next exchange, on a rank without rows too
    if (one_pass) exchange_completions();
    result_.imbalance = shares_.imbalance;
    result_.loss = std::accumulate(completion_loss_.begin(), completion_loss_.end(), 0.0) +
                   router_aux_loss_coef_ * result_.aux_loss.value_or(0);
    return std::move(result_);
  }

 private:
  // Where the ranks have parts of the weights, each computes as often as any: `without` stands for what it
  // has no micro-batch for.
  template <typename Compute, typename Without>
  void for_own_batches(const Compute& compute, const Without& without) {
    std::vector<std::int64_t> counts(static_cast<size_t>(ranks_.size()));
    for (const int rank : shares_.rank_of) ++counts[static_cast<size_t>(rank)];
    const std::int64_t own = counts[static_cast<size_t>(ranks_.rank())];
    for (std::int64_t i = 0, done = 0; done < own; ++i) {
      if (shares_.rank_of[static_cast<size_t>(i)] != ranks_.rank()) continue;
      ++done;
      compute(plan_.micro_batches[static_cast<size_t>(i)], /*is_last=*/done == own);
    }
    if (policy_.weight_store() == nullptr) return;
    for (std::int64_t i = own; i < *std::ranges::max_element(counts); ++i) without();
  }

  at::Device device() const { return policy_.head_weight().device(); }
  losses::ScoredCompletion& completion_of(const data::PackedCompletion& completion) {
    return result_.completions[static_cast<size_t>(completion.step_index)];
  }

  void score_reference(const data::PackedBatch& batch, const ModelBatch& on_device) {
    if (reference_ == nullptr) return;
    RECORD_USER_SCOPE("reference");
    const std::vector<double> logp = reference_->of(batch, on_device, keep_pairs_);
    for (size_t i = 0; i < logp.size(); ++i) completion_of(batch.completions[i]).ref_logp = logp[i];
  }

  // A micro-batch that is the whole step keeps its graph until the loss is known; several are computed twice.
  bool is_alone() const { return plan_.micro_batches.size() == 1 && ranks_.size() == 1; }

  void score_alone(const data::PackedBatch& batch, const ModelBatch& on_device, const Tensor& hidden_CD) {
    const std::vector<double> logp =
        ops::completion_logprobs(on_device.head_input(hidden_CD, policy_), unit_offsets(batch, keep_pairs_));
    for (size_t i = 0; i < logp.size(); ++i) completion_of(batch.completions[i]).logp = logp[i];
  }

  void evaluate_all() { objective_.evaluate(result_.completions, counts_, completion_loss_, derivative_); }

  // Log-probabilities of the whole step, for losses that need them before the first gradient.
  void score_all() {
    RECORD_USER_SCOPE("score");
    const ScoreOptions options{.keep_pairs = keep_pairs_, .ranks = ranks_};
    const std::vector<double> logp = *score(ModelLogProbs(policy_), plan_, device(), options);
    for (size_t i = 0; i < logp.size(); ++i) result_.completions[i].logp = logp[i];
    if (reference_ == nullptr) return;
    const std::vector<double> ref_logp = *score(*reference_, plan_, device(), options);
    for (size_t i = 0; i < ref_logp.size(); ++i) result_.completions[i].ref_logp = ref_logp[i];
  }

  Tensor hidden(const ModelBatch& on_device, const std::function<void(size_t)>& on_complete = nullptr) {
    RECORD_USER_SCOPE("forward");
    models::ModelInput input = on_device.input();
    input.on_complete = on_complete;
    if (!balance_) return policy_.hidden(input);
    input.balance = &*balance_;
    balance_->set_tokens(on_device.num_completions_T());
    return policy_.hidden(input);
  }

  void measure_balance() {
    const at::NoGradGuard no_grad;
    for_own_batches([&](const data::PackedBatch& batch, bool) { hidden(ModelBatch(batch, device())); },
                    [&] { policy_.take_part(/*with_backward=*/false); });
    if (ranks_.size() > 1) balance_->join([this](const Tensor& sum) { ranks_.all_reduce(sum); });
    result_.aux_loss = balance_->finish(router_aux_loss_coef_);
  }

  void add_gradients(const data::PackedBatch& batch, bool one_pass,
                     const std::function<void(size_t)>& on_complete) {
    const ModelBatch on_device(batch, device());
    if (one_pass || is_alone()) score_reference(batch, on_device);
    const Tensor hidden_CD = hidden(on_device, on_complete);
    if (!one_pass && is_alone()) {
      score_alone(batch, on_device, hidden_CD);
      evaluate_all();
    }
    if (balance_ && balance_->is_measuring()) result_.aux_loss = balance_->finish(router_aux_loss_coef_);
    const auto gradient = [&](std::int64_t first, std::span<const double> logp, std::span<double> out) {
      const std::span<const data::PackedCompletion> completions(batch.completions.data() + first,
                                                                logp.size());
      if (one_pass) evaluate_completions(completions, logp);
      for (size_t i = 0; i < completions.size(); ++i)
        out[i] = derivative_[static_cast<size_t>(completions[i].step_index)];
    };
    run_backward(hidden_CD, run_head(batch, on_device, hidden_CD, gradient));
  }

  // The gradient of the hidden states.
  Tensor run_head(const data::PackedBatch& batch, const ModelBatch& on_device, const Tensor& hidden_CD,
                  const ops::CompletionGradient& gradient) {
    RECORD_USER_SCOPE("head");
    const ops::HeadResult head =
        ops::fused_logprob_head(on_device.head_input(hidden_CD, policy_), unit_offsets(batch, keep_pairs_),
                                gradient, parameters_.gradient(policy_.head_weight_name()));
    if (head.d_bias_V.defined()) add_bias_gradient(head.d_bias_V);
    return head.d_hidden_CD;
  }

  void run_backward(const Tensor& hidden_CD, const Tensor& d_hidden_CD) const {
    RECORD_USER_SCOPE("backward");
    hidden_CD.backward(d_hidden_CD);
    policy_.end_backward();
  }

  // In add_gradients() of other ranks.
  void take_part(bool one_pass) const {
    if (one_pass && reference_ != nullptr) reference_->take_part();
    policy_.take_part(/*with_backward=*/true);
  }

  void add_bias_gradient(const Tensor& d_bias_V) {
    const Tensor& sum_V = parameters_.gradient(policy_.spec().head_bias_name);
    if (sum_V.defined()) sum_V.add_(d_bias_V);
  }

  // Loss and derivative of some completions of a micro-batch that are closed under the objective's locality.
  void evaluate_completions(std::span<const data::PackedCompletion> completions,
                            std::span<const double> logp) {
    std::vector<losses::ScoredCompletion> local(completions.size());
    for (size_t i = 0; i < completions.size(); ++i) {
      completion_of(completions[i]).logp = logp[i];
      local[i] = completion_of(completions[i]);
      local[i].partner = -1;
      for (const size_t j : {i - 1, i + 1}) {
        if (j < completions.size() && completions[j].step_index == completions[i].partner)
          local[i].partner = static_cast<std::int64_t>(j);
      }
    }
    std::vector<double> loss(completions.size());
    std::vector<double> derivative(completions.size());
    try {
      objective_.evaluate(local, counts_, loss, derivative);
    } catch (const losses::PoleError& error) {
      throw losses::PoleError(error.what(), static_cast<size_t>(completions[error.index()].step_index));
    }
    for (size_t i = 0; i < completions.size(); ++i) {
      completion_loss_[static_cast<size_t>(completions[i].step_index)] = loss[i];
      derivative_[static_cast<size_t>(completions[i].step_index)] = derivative[i];
    }
  }

  // What one pass has found of each rank's completions, told to all.
  void exchange_completions() {
    if (ranks_.size() == 1) return;
    std::vector<double> own;
    for (const std::int64_t completion : completions_of(ranks_.rank())) {
      const auto i = static_cast<size_t>(completion);
      own.insert(own.end(),
                 {result_.completions[i].logp, result_.completions[i].ref_logp, completion_loss_[i]});
    }
    const std::vector<std::vector<double>> all = ranks_.all_gather(own);
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const double* values = all[static_cast<size_t>(rank)].data();
      for (const std::int64_t completion : completions_of(rank)) {
        const auto i = static_cast<size_t>(completion);
        result_.completions[i].logp = *values++;
        result_.completions[i].ref_logp = *values++;
        completion_loss_[i] = *values++;
      }
    }
  }

  std::vector<std::int64_t> completions_of(int rank) const {
    std::vector<std::int64_t> completions;
    for (size_t i = 0; i < plan_.micro_batches.size(); ++i) {
      if (shares_.rank_of[i] != rank) continue;
      for (const data::PackedCompletion& completion : plan_.micro_batches[i].completions)
        completions.push_back(completion.step_index);
    }
    return completions;
  }

  const models::CausalLm& policy_;
  const LogProbs* reference_;
  const data::StepPlan& plan_;
  const losses::Objective& objective_;
  Parameters& parameters_;
  const dist::Communicator& ranks_;
  const std::function<void(size_t)>& on_complete_;
  dist::Shares shares_;
  const BatchCounts& counts_;
  double router_aux_loss_coef_;
  std::optional<models::RouterBalance> balance_;
  bool keep_pairs_;
  std::vector<double> completion_loss_;
  std::vector<double> derivative_;
  StepResult result_;
};

}  // namespace

StepResult compute_step(const models::CausalLm& policy, const LogProbs* reference, const data::StepPlan& plan,
                        const BatchCounts& counts, const losses::Objective& objective, Parameters& parameters,
                        double router_aux_loss_coef, const dist::Communicator& ranks,
                        const std::function<void(size_t)>& on_complete) {
  DDRO_CHECK(reference != nullptr || !objective.reads_reference(), "this objective needs a reference");
  return StepComputation(policy, objective.reads_reference() ? reference : nullptr, plan, counts, objective,
                         parameters, router_aux_loss_coef, ranks, on_complete)
      .run();
}

}  // namespace ddro::train
