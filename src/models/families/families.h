// The families that can be trained. Each has a file of its own name here, with one function from a
// config.json to a ModelSpec; `model_type` and what is the same for all is filled in by parse_model_config.
#pragma once

#include <vector>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// NAME: the family's model_type; read_NAME is defined in NAME.cpp. Then the published models that are of it.
#define DDRO_MODEL_FAMILIES(FAMILY)                                                        \
  FAMILY(arcee, "AFM 4.5B")                                                                \
  FAMILY(bloom, "BLOOM, BLOOMZ")                                                           \
  FAMILY(cohere, "Command-R, Command-R+, Aya 23 and Expanse")                              \
  FAMILY(cohere2, "Command-R7B, Command-A")                                                \
  FAMILY(ernie4_5, "ERNIE 4.5 0.3B")                                                       \
  FAMILY(exaone, "EXAONE 3, 3.5, Deep")                                                    \
  FAMILY(exaone4, "EXAONE 4")                                                              \
  FAMILY(falcon, "Falcon RW, 7B, 40B, 180B, 2-11B")                                        \
  FAMILY(gemma, "Gemma 1, CodeGemma")                                                      \
  FAMILY(gemma2, "Gemma 2")                                                                \
  FAMILY(gemma3_text, "Gemma 3 270M and 1B")                                               \
  FAMILY(glm, "GLM-4 9B of 2024")                                                          \
  FAMILY(glm4, "GLM-4 and GLM-Z1 of 2025")                                                 \
  FAMILY(gpt2, "GPT-2, DistilGPT2")                                                        \
  FAMILY(gpt_neox, "Pythia, GPT-NeoX, RedPajama-INCITE")                                   \
  FAMILY(gpt_oss, "gpt-oss 20B and 120B")                                                  \
  FAMILY(granite, "Granite 3")                                                             \
  FAMILY(granitemoe, "Granite 3 1B-A400M and 3B-A800M")                                    \
  FAMILY(granitemoeshared, "Granite MoE with a shared expert")                             \
  FAMILY(granitemoehybrid, "Granite 4 350M, 1B and Micro, not the H models")               \
  FAMILY(helium, "Helium 1")                                                               \
  FAMILY(hunyuan_v1_dense, "Hunyuan 0.5B, 1.8B, 4B, 7B")                                   \
  FAMILY(internlm2, "InternLM 2 and 2.5")                                                  \
  FAMILY(internlm3, "InternLM 3")                                                          \
  FAMILY(llama, "Llama 2 and 3, SmolLM 1 and 2, TinyLlama, Yi, DeepSeek-R1-Distill-Llama") \
  FAMILY(ministral, "Ministral")                                                           \
  FAMILY(mistral, "Mistral 7B, Nemo, Small")                                               \
  FAMILY(mixtral, "Mixtral 8x7B and 8x22B")                                                \
  FAMILY(mpt, "MPT 7B and 30B")                                                            \
  FAMILY(nemotron, "Nemotron 3 8B, Nemotron 4, Minitron")                                  \
  FAMILY(olmo, "OLMo 1")                                                                   \
  FAMILY(olmo2, "OLMo 2")                                                                  \
  FAMILY(olmo3, "OLMo 3")                                                                  \
  FAMILY(olmoe, "OLMoE")                                                                   \
  FAMILY(opt, "OPT but 350M")                                                              \
  FAMILY(phi, "Phi 1, 1.5, 2")                                                             \
  FAMILY(phi3, "Phi 3, 3.5, 4, 4-mini")                                                    \
  FAMILY(qwen2, "Qwen 2 and 2.5, QwQ, DeepSeek-R1-Distill-Qwen")                           \
  FAMILY(qwen2_moe, "Qwen 1.5 A2.7B, Qwen 2 57B-A14B")                                     \
  FAMILY(qwen3, "Qwen 3")                                                                  \
  FAMILY(qwen3_moe, "Qwen 3 30B-A3B and 235B-A22B")                                        \
  FAMILY(seed_oss, "Seed-OSS")                                                             \
  FAMILY(smollm3, "SmolLM 3")                                                              \
  FAMILY(stablelm, "StableLM 3B, Zephyr 3B, StableLM 2 1.6B")                              \
  FAMILY(starcoder2, "StarCoder 2")

#define DDRO_DECLARE_FAMILY(name, models) ModelSpec read_##name(const ConfigReader& config);
DDRO_MODEL_FAMILIES(DDRO_DECLARE_FAMILY)
#undef DDRO_DECLARE_FAMILY

struct Family {
  const char* model_type;
  const char* models;
  ModelSpec (*read)(const ConfigReader& config);
};

#define DDRO_FAMILY_ENTRY(name, models) Family{#name, models, read_##name},
inline constexpr Family kFamilies[] = {DDRO_MODEL_FAMILIES(DDRO_FAMILY_ENTRY)};
#undef DDRO_FAMILY_ENTRY

}  // namespace ddro::models
