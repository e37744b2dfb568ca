// The trained model as a Hugging Face folder, and the proof that it is the one that was evaluated.
#pragma once

#include "ddro/run/loaded_run.h"
#include "ddro/train/evaluation.h"
#include "run/stop_flag.h"

namespace ddro::run {

// Writes <train.output_dir>/final in export.dtype, in place of an earlier one. `card`: its model_card.
// Error(kSave) on failure.
void export_final(const LoadedRun& run, const NamedTensors& weights, const std::string& card);

// Error(kInput) for what export.gguf asks for and a GGUF file cannot say.
void check_final_gguf(const LoadedRun& run);

// Writes final/, which is there, as <train.output_dir>/final.gguf too, where export.gguf asks for it, in
// place of an earlier one. Error(kSave) on failure.
void export_final_gguf(const LoadedRun& run);

// Reads final/ from disk, evaluates it on the run's evaluation sets (without evaluations: on the rows of the
// first step) and compares it with `policy`, completion by completion. `last`: what the policy gave, if that
// is known. Says what a type narrower than the run computes in has cost. Error(kSave) when they differ by
// more than rounding can explain: final/ is not the model that was trained.
void verify_final(const LoadedRun& run, const models::CausalLm& policy,
                  const std::vector<train::Evaluation>& last, const StopFlag& stop);

}  // namespace ddro::run
