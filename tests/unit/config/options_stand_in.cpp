// Where the modules that own these options are not part of the build: checks enough to test how complaints
// are placed.
#include "ddro/base/error.h"
#include "ddro/data/data_options.h"
#include "ddro/losses/objective_options.h"
#include "ddro/models/model_options.h"

namespace ddro {

void data::DataOptions::validate() const {
  if (max_length < 1) throw option_error("data.max_length", std::to_string(max_length), "at least 1");
}

void losses::ObjectiveOptions::validate() const {
  if (alpha && !(*alpha > 0 && *alpha < 1))
    throw option_error("objective.alpha", printable(*alpha), "a number in (0, 1)");
  if (explicitly_set.contains("beta") && loss_type != LossType::kSigmoid) {
    throw input_error("[objective.beta] this loss has none");
  }
  for (const char* key : {"generator", "basu_power", "stabilizer", "max_weight"}) {
    if (explicitly_set.contains(key) && loss_type != LossType::kDdro) {
      throw input_error(std::string("[objective.") + key + "] this loss has none");
    }
  }
  if (explicitly_set.contains("basu_power") && generator != Generator::kBasu) {
    throw input_error("[objective.basu_power] this generator has none");
  }
}

void models::ModelOptions::validate() const {}
void models::ReferenceOptions::validate() const {}

}  // namespace ddro
