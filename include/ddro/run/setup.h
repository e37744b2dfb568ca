// From a configuration to the parts of a run; shared by the commands that need a model and data.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ddro/config/run_config.h"
#include "ddro/data/dataset.h"
#include "ddro/data/prompts.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/model_folder.h"
#include "ddro/text/model_text.h"

namespace ddro::run {

// The device that training and scoring use: the first CUDA device, of several ranks on a machine to each its
// own, or the CPU. Error(kModel) where CUDA_VISIBLE_DEVICES names a device and none can be used: the CPU is
// not what was asked for; and where the device is too old.
at::Device default_device(int local_rank = 0);

// Bytes that can be had on a device now (available_memory on the CPU); infinity where nobody says.
double free_memory(at::Device device);

// Why there is no CUDA device, for people.
std::string why_no_gpu();

// `auto`: bfloat16 on a GPU that has it in hardware, float32 elsewhere.
at::ScalarType compute_dtype(models::ComputeDType dtype, at::Device device);

// Class weight n+/(n+ + n-) of a set, a pair counting once in each class.
double data_alpha(const data::Dataset& dataset);

// Logs what the report of a set says; `name` is train or the name of an evaluation set.
void log_report(const std::string& name, const data::Dataset& dataset);

// Tokens of each sequence beyond the model's positions or id range are refused: Error(kInput) naming the row.
void check_fits_model(const data::Dataset& dataset, const models::ModelSpec& spec);

// The same of prompts, whose completions need room too.
void check_fits_model(const std::vector<data::Prompt>& prompts, const models::ModelSpec& spec);

// Error(kModel) unless the tokens of both folders are the same, id by id: `policy_tokenizer` is of `policy`.
// A reference folder without a tokenizer only needs the same number of ids.
void check_same_ids(const models::ModelFolder& reference, const models::ModelFolder& policy,
                    const text::Tokenizer& policy_tokenizer);

// text::load_model_text of a model folder, or of an adapter's and that of its base.
text::ModelText load_text(const std::filesystem::path& folder,
                          const std::optional<std::string>& chat_template_file = std::nullopt,
                          const std::optional<std::string>& eos_token = std::nullopt);

// With the adapter that the folder has, if any; nothing of it is trained.
std::unique_ptr<models::CausalLm> build_model(const models::ModelFolder& folder, at::Device device,
                                              at::ScalarType dtype);

}  // namespace ddro::run
