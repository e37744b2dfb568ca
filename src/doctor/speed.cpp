#include "ddro/doctor/speed.h"

#include <ATen/Parallel.h>
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "ddro/base/error.h"
#include "ddro/base/progress.h"
#include "ddro/run/setup.h"
#include "ddro/train/data_sheet.h"
#include "ddro/train/memory_estimate.h"
#include "ddro/train/score.h"
#include "ddro/train/stepper.h"
#include "ddro/train/throughput.h"
#include "doctor/profile.h"
#include "doctor/random_model.h"
#include "doctor/shapes.h"

namespace ddro::doctor {
namespace {

// What a step holds, and how many there are: a device has to be filled, a CPU has to be through in a minute.
struct Workload {
  std::int64_t pairs;
  PairSize size;
  std::int64_t micro_batch_tokens;
  int warmup_steps;
  int timed_steps;
};

Workload workload_for(at::Device device, std::int64_t sequence_tokens) {
  constexpr std::int64_t kGpuTokens = 32768;  // of the first completions and their prompts
  const std::int64_t tokens = sequence_tokens > 0 ? sequence_tokens : device.is_cuda() ? 512 : 256;
  const PairSize size = {tokens - tokens / 2, tokens / 2};
  if (device.is_cuda()) return {std::max<std::int64_t>(1, kGpuTokens / tokens), size, 16384, 3, 5};
  return {2, size, 2048, 1, 3};
}

// The model in training. Everything lives where it is computed.
class SpeedTrial {
 public:
  SpeedTrial(Shape shape, at::Device device, at::ScalarType dtype, std::int64_t sequence_tokens)
      : device_(device),
        workload_(workload_for(device, sequence_tokens)),
        spec_(spec_of(shape)),
        is_large_(shape == Shape::k8B),
        pairs_(random_pairs(workload_.pairs, workload_.size, spec_.vocab_size)),
        plan_(make_plan()) {
    options_.moment_dtype = is_large_ ? train::MomentDType::kFloat8 : train::MomentDType::kFloat32;
    require_memory(dtype);
    draw_model(dtype);
    optimizer_ = std::make_unique<train::Optimizer>(*parameters_, options_);
    if (device.is_cuda()) c10::cuda::CUDACachingAllocator::resetPeakStats(device.index());
  }

  SpeedReport measure() {
    reference_ = std::make_unique<train::LogProbTable>(
        pairs_, *train::score(train::ModelLogProbs(*policy_), plan_, device_));
    objective_ = losses::make_objective({}, /*data_alpha=*/0.5);
    stepper_ = std::make_unique<train::Stepper>(
        train::StepperParts{*policy_, reference_.get(), pairs_, *objective_, pack_options(), 1, kSteps},
        options_, *parameters_, *optimizer_);
    for (int i = 0; i < workload_.warmup_steps; ++i) step();
    SpeedReport report = describe();
    time_steps(report);
    add_profile(report);
    return report;
  }

 private:
  static constexpr std::int64_t kSteps = 100;  // of the schedule: a learning rate that is not 0

  void draw_model(at::ScalarType dtype) {
    const NamedTensors weights =
        random_weights(spec_, at::TensorOptions(device_).dtype(dtype), /*deviation=*/0.02);
    policy_ = models::make_causal_lm(
        spec_, weights, {.device = device_, .dtype = dtype, .gradient_checkpointing = is_large_});
    parameters_ = std::make_unique<train::Parameters>(*policy_, weights);
  }

  data::PackOptions pack_options() const { return {.micro_batch_tokens = workload_.micro_batch_tokens}; }

  data::StepPlan make_plan() const {
    std::vector<std::int64_t> all(pairs_.examples.size());
    std::iota(all.begin(), all.end(), 0);
    return data::plan_step(pairs_, all, pack_options());
  }

  std::int64_t num_parameters() const {
    std::int64_t count = 0;
    for (const auto& [name, shape] : models::parameters_of(spec_))
      count += std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    return count;
  }

  void require_memory(at::ScalarType dtype) const {
    train::MemoryModel model;
    model.spec = spec_;
    model.num_parameters = num_parameters();
    model.dtype = dtype;
    model.moment_dtype = options_.moment_dtype;
    model.device = device_;
    model.gradient_checkpointing = is_large_;
    const double needed = train::estimate_memory(model, plan_).peak();
    const double there = run::free_memory(device_);
    if (needed <= there) return;
    throw model_error("[--speed] this model needs more memory than there is; got " + gigabytes(there) +
                      ", expected " + gigabytes(needed));
  }

  void step() {
    stepper_->step(plan_, {}, steps_done_++);
    train::synchronize(device_);
  }

  SpeedReport describe() const {
    SpeedReport report;
    report.model = models::summary(spec_);
    report.parameters = num_parameters();
    report.device = device_.str();
    report.dtype = dtype_label(policy_->head_weight().scalar_type());
    report.pairs = workload_.pairs;
    report.tokens = plan_.num_tokens;
    return report;
  }

  void time_steps(SpeedReport& report) {
    using Clock = std::chrono::steady_clock;
    const double cpu_before = cpu_seconds();
    for (int i = 0; i < workload_.timed_steps; ++i) {
      const auto start = Clock::now();
      step();
      report.step_seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    const double total = std::accumulate(report.step_seconds.begin(), report.step_seconds.end(), 0.0);
    const double steps_per_second = workload_.timed_steps / total;
    report.pairs_per_second = static_cast<double>(report.pairs) * steps_per_second;
    report.tokens_per_second = static_cast<double>(report.tokens) * steps_per_second;
    report.busy = (cpu_seconds() - cpu_before) / (total * at::get_num_threads());
    report.peak_memory_bytes = train::peak_memory_bytes(device_);
    report.matmul_rate = train::measure_matmul_rate(device_, policy_->head_weight().scalar_type());
    report.flops =
        train::step_flops(spec_, /*adapter=*/nullptr, plan_, /*live_reference=*/false) * steps_per_second;
    if (device_.is_cuda())
      report.data_sheet_rate = train::data_sheet_rate(at::cuda::getDeviceProperties(device_.index())->name);
  }

  void add_profile(SpeedReport& report) {
    const Profile result = profile(device_, [this] { step(); });
    report.kernels = result.kernels;
    // The profiler slows down the launches between kernels, not the kernels.
    std::vector<double> seconds = report.step_seconds;
    std::sort(seconds.begin(), seconds.end());
    if (device_.is_cuda()) report.busy = std::min(1.0, result.busy_seconds / seconds[seconds.size() / 2]);
  }

  static double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  at::Device device_;
  Workload workload_;
  models::ModelSpec spec_;
  bool is_large_;
  data::Dataset pairs_;
  data::StepPlan plan_;
  train::OptimizerOptions options_;
  std::unique_ptr<models::CausalLm> policy_;
  std::unique_ptr<train::Parameters> parameters_;
  std::unique_ptr<train::Optimizer> optimizer_;
  std::unique_ptr<train::LogProbTable> reference_;
  std::unique_ptr<losses::Objective> objective_;
  std::unique_ptr<train::Stepper> stepper_;
  std::int64_t steps_done_ = 0;
};

}  // namespace

SpeedReport measure_speed(Shape shape, at::Device device, at::ScalarType dtype,
                          std::int64_t sequence_tokens) {
  return SpeedTrial(shape, device, dtype, sequence_tokens).measure();
}

}  // namespace ddro::doctor
