// What a set of rows or a model folder amounts to, in words and numbers: shared by the plan of a run, the log
// and `inspect`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ddro/data/dataset.h"
#include "ddro/models/model_folder.h"

namespace ddro::run {

// "p50 12, p90 30, p99 44, max 60" by nearest rank; "none" of no values.
std::string percentiles(std::vector<std::int64_t> values);

// "pairs" or "single completions".
std::string kind_label(data::RowKind kind);

// Each thing about a loaded set that its owner should know, as "3 rows repeat an earlier row".
std::vector<std::string> data_remarks(const data::DatasetReport& report);

// Why rows were dropped, those of the most rows first: "179 x 310 to 2605 tokens, more than data.max_length
// 300". Reasons that differ in the number that they begin with are one; at most eleven lines.
std::vector<std::string> dropped_reasons(const std::vector<data::DroppedRow>& dropped);

std::int64_t num_parameters(const models::ModelFolder& folder);

}  // namespace ddro::run
