#include "ddro/models/model_options.h"

#include <cmath>
#include <limits>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

void check_name(const std::string& name, const char* key) {
  if (name.empty()) {
    throw input_error(std::string("[") + key +
                      "] is empty; expected a Hugging Face folder, or org/name in the local cache");
  }
  if (name.find('\0') != std::string::npos) throw input_error(std::string("[") + key + "] holds a zero byte");
}

void check_fit(const ReferenceFit& fit) {
  constexpr std::int64_t kMaxCount = std::numeric_limits<std::int32_t>::max();
  const auto require = [](bool in_range, const std::string& got, const char* expected) {
    if (!in_range) throw option_error("reference.fit", got, expected);
  };
  require(fit.num_train_epochs >= 0 && fit.num_train_epochs <= static_cast<double>(kMaxCount),
          "num_train_epochs " + printable(fit.num_train_epochs), "a number of at least 0 (0: no fit)");
  require(std::isfinite(fit.learning_rate) && fit.learning_rate > 0,
          "learning_rate " + printable(fit.learning_rate), "a number above 0");
  require(fit.early_stopping_patience >= 0 && fit.early_stopping_patience <= kMaxCount,
          "early_stopping_patience " + std::to_string(fit.early_stopping_patience),
          "an integer from 0 (never) to 2147483647");
}

}  // namespace

void ModelOptions::validate() const {
  check_name(model_name_or_path, "model.model_name_or_path");
  if (eos_token && eos_token->empty())
    throw option_error("model.eos_token", "an empty text", "the text of a token, or null");
  if (router_aux_loss_coef && !(std::isfinite(*router_aux_loss_coef) && *router_aux_loss_coef >= 0)) {
    throw option_error("model.router_aux_loss_coef", printable(*router_aux_loss_coef),
                       "a number of at least 0, or auto");
  }
}

void ReferenceOptions::validate() const {
  if (model_name_or_path) check_name(*model_name_or_path, "reference.model_name_or_path");
  if (ref_cache_dir && ref_cache_dir->empty())
    throw option_error("reference.ref_cache_dir", "an empty text", "a folder, or null");
  check_fit(fit);
  if (fit.num_train_epochs > 0 && model_name_or_path) {
    throw input_error("[reference.fit] trains the policy's starting weights to be the reference; got " +
                      printable(*model_name_or_path) +
                      " as reference.model_name_or_path too, expected null; or num_train_epochs 0");
  }
}

}  // namespace ddro::models
