// VaultGemma: Gemma 2 without norms of what is added.
#include "models/family.h"

namespace ddro::models {

extern const Family family_gemma2;  // gemma2.cpp

namespace {

ModelSpec read_vaultgemma(const ConfigReader& config) {
  ModelSpec model = family_gemma2.read(config);
  for (LayerSpec& layer : model.layers) {
    layer.post_attention_norm.reset();
    layer.post_feed_forward_norm.reset();
  }
  return model;
}

}  // namespace

extern const Family family_vaultgemma = {"vaultgemma", "VaultGemma 1B", read_vaultgemma};

}  // namespace ddro::models
