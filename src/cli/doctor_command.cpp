#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/error.h"
#include "ddro/base/progress.h"
#include "ddro/doctor/doctor.h"
#include "ddro/doctor/speed.h"
#include "ddro/run/setup.h"

namespace ddro::cli {
namespace {

constexpr size_t kShownKernels = 15;

struct DoctorArguments {
  std::string folder = ".";
  std::string shape;
  std::int64_t sequence_tokens = 0;
  bool json = false;
};

void run_checks(const DoctorArguments& arguments) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(arguments.folder, ignored))
    throw input_error("[--dir] " + printable(arguments.folder, 400) + " is not a folder");
  Json findings = Json::array();
  const bool sound =
      doctor::examine(doctor::this_machine(arguments.folder), [&](const doctor::Finding& finding) {
        if (arguments.json) {
          findings.push_back(doctor::to_json(finding));
          return;
        }
        print_line(doctor::to_line(finding));
        flush_output();
      });
  if (arguments.json) print_line(Json({{"sound", sound}, {"findings", findings}}).dump(2));
  flush_output();
  if (!sound) throw model_error("[doctor] a check has failed; training here is not safe");
}

double profiled_seconds(const doctor::SpeedReport& report) {
  double seconds = 0;
  for (const doctor::KernelTime& kernel : report.kernels) seconds += kernel.seconds;
  return seconds;
}

Json to_json(const doctor::SpeedReport& report) {
  Json kernels = Json::array();
  for (const doctor::KernelTime& kernel : report.kernels)
    kernels.push_back({{"name", kernel.name}, {"calls", kernel.calls}, {"seconds", kernel.seconds}});
  return {{"model", report.model},
          {"parameters", report.parameters},
          {"device", report.device},
          {"dtype", report.dtype},
          {"pairs_per_step", report.pairs},
          {"tokens_per_step", report.tokens},
          {"step_seconds", report.step_seconds},
          {"pairs_per_second", report.pairs_per_second},
          {"tokens_per_second", report.tokens_per_second},
          {"matmul_rate", report.matmul_rate},
          {"mfu", report.flops / report.matmul_rate},
          {"data_sheet_rate", report.data_sheet_rate ? Json(*report.data_sheet_rate) : Json()},
          {"mfu_data_sheet", report.data_sheet_rate ? Json(report.flops / *report.data_sheet_rate) : Json()},
          {"busy", report.busy},
          {"peak_memory_bytes", report.peak_memory_bytes},
          {"kernels", kernels}};
}

void print_kernels(const doctor::SpeedReport& report) {
  const double total = profiled_seconds(report);
  print_line("share      ms   calls  of one step, by LibTorch's profiler");
  for (size_t i = 0; i < std::min(kShownKernels, report.kernels.size()); ++i) {
    const doctor::KernelTime& kernel = report.kernels[i];
    print_line(printable(100 * kernel.seconds / total, "%5.1f") + printable(1e3 * kernel.seconds, " %7.1f") +
               printable(static_cast<double>(kernel.calls), " %7.0f  ") + printable(kernel.name));
  }
}

void print_report(const doctor::SpeedReport& report) {
  const auto number = [](double value) { return printable(value, "%.4g"); };
  std::string steps;
  for (const double seconds : report.step_seconds) steps += (steps.empty() ? "" : ", ") + number(seconds);
  print_line("model      " + report.model + ", random weights");
  print_line("work       " + std::to_string(report.pairs) + " random pairs, " +
             std::to_string(report.tokens) + " tokens a step, cached reference, on " + report.device +
             " in " + report.dtype);
  print_line("steps      " + steps + " s");
  print_line("speed      " + number(report.tokens_per_second) + " tokens/s, " +
             number(report.pairs_per_second) + " pairs/s");
  print_line("mfu        " + printable(report.flops / report.matmul_rate, "%.3f") + " of " +
             number(report.matmul_rate / 1e9) + " GFLOP/s, this run's matmul rate");
  if (report.data_sheet_rate)
    print_line("           " + printable(report.flops / *report.data_sheet_rate, "%.3f") + " of " +
               number(*report.data_sheet_rate / 1e9) + " GFLOP/s, its data sheet's rate");
  print_line("busy       " + printable(report.busy, "%.3f"));
  print_line("memory     " + gigabytes(static_cast<double>(report.peak_memory_bytes)) + " at most");
  print_kernels(report);
  print_line("Random weights show speed and memory, not quality.");
}

void run_speed(const DoctorArguments& arguments) {
  const auto shape = parse_enum<doctor::Shape>("--speed", arguments.shape);
  const at::Device device = run::default_device();
  const doctor::SpeedReport report = doctor::measure_speed(
      shape, device, run::compute_dtype(models::ComputeDType::kAuto, device), arguments.sequence_tokens);
  if (arguments.json) {
    print_line(to_json(report).dump(2));
  } else {
    print_report(report);
  }
}

}  // namespace

void add_doctor_command(CLI::App& app) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command = app.add_subcommand("doctor", "Check this machine, or measure how fast it trains");
  command->add_option("--dir", arguments->folder, "Folder on whose disk writing is tried")
      ->capture_default_str();
  command->add_option(
      "--speed", arguments->shape,
      "Trains a random model of this shape for a few steps instead: 135m, 1.2b or 8b; no file is read or "
      "written");
  command
      ->add_option("--sequence-tokens", arguments->sequence_tokens,
                   "Of --speed: tokens of a prompt and a completion (default: 512 on a GPU, 256 on a CPU)")
      ->check(CLI::Range(2, 8192))
      ->needs("--speed");
  command->add_flag("--json", arguments->json, "One JSON object instead of lines");
  command->callback(
      [arguments] { arguments->shape.empty() ? run_checks(*arguments) : run_speed(*arguments); });
}

}  // namespace ddro::cli
