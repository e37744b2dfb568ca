// The optimizer's update alone, with moments in each form: seconds and bytes.
//
//   optimizer_bench --model DIR [--steps N]
//
// Prints one JSON object a form; "seconds" are of the fastest of N updates, "cpu_seconds" their mean over all
// threads (with OMP_WAIT_POLICY=passive, waiting is not among them).
#include <ATen/ATen.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "ddro/base/json.h"
#include "ddro/models/model_folder.h"
#include "ddro/train/optimizer.h"

namespace ddro {
namespace {

Json measure(const models::ModelFolder& folder, train::MomentDType form, int steps) {
  const auto model = models::make_causal_lm(folder.spec, folder.tensors, {});
  train::OptimizerOptions options;
  options.moment_dtype = form;
  train::Parameters parameters(*model, folder.tensors);
  train::Optimizer optimizer(parameters, options);
  for (const auto& [name, master] : parameters.masters()) parameters.gradient(name).normal_(0, 1e-3);
  double fastest = 1e9;
  const std::clock_t cpu_start = std::clock();
  for (int i = 0; i < steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    optimizer.step(1e-6, 1.0);
    fastest =
        std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC / steps;
  size_t bytes = 0;
  for (const train::StateTensor& tensor : optimizer.state()) bytes += tensor.own.nbytes();
  return {{"moment_dtype", enum_name(form)},
          {"seconds", fastest},
          {"cpu_seconds", cpu_seconds},
          {"moment_bytes", bytes},
          {"parameters", parameters.size()}};
}

int run(const std::string& model, int steps) {
  const models::ModelFolder folder = models::open_model_folder(model);
  for (const auto form :
       {train::MomentDType::kFloat32, train::MomentDType::kBFloat16, train::MomentDType::kFloat8})
    std::puts(measure(folder, form, steps).dump().c_str());
  return 0;
}

}  // namespace
}  // namespace ddro

int main(int argc, char** argv) {
  CLI::App app("Times the optimizer's update on the CPU");
  std::string model;
  int steps = 10;
  app.add_option("--model", model, "A model folder")->required();
  app.add_option("--steps", steps);
  CLI11_PARSE(app, argc, argv);
  return ddro::run(model, steps);
}
