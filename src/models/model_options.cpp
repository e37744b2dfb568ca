#include "ddro/models/model_options.h"

#include <cmath>

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
}

}  // namespace ddro::models
