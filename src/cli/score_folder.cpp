#include "cli/score_folder.h"

#include "ddro/base/progress.h"
#include "ddro/run/setup.h"
#include "ddro/train/score.h"

namespace ddro::cli {

std::vector<double> score_folder(const models::ModelFolder& folder, models::ComputeDType dtype,
                                 const data::Dataset& dataset, const data::SetPlan& plan,
                                 const std::string& label, const ValuesOfModel& values) {
  run::check_fits_model(dataset, folder.spec);
  const at::Device device = run::default_device();
  const auto model = run::build_model(folder, device, run::compute_dtype(dtype, device));
  Progress progress(label, plan.num_micro_batches());
  std::int64_t done = 0;
  return *train::score(*values(*model), plan, device,
                       {.scored = [&](const auto&, const auto&) { progress.update(++done, 0); }});
}

}  // namespace ddro::cli
