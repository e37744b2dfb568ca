// Preference row -> token ids, with the boundary between prompt and completion found by character offset.
#pragma once

#include <ctime>
#include <optional>
#include <string>

#include "ddro/data/data_options.h"
#include "ddro/data/dataset.h"
#include "ddro/data/preference_row.h"
#include "ddro/text/model_text.h"

namespace ddro::data {

struct EncodeResult {
  EncodedExample example;
  std::optional<std::string> unusable;  // why, when the row cannot be used
  int boundary_merges = 0;              // sequences with a token that spans the boundary
  bool control_text = false;
  bool truncated = false;
};

// Encodes one row under `options`. Error(kInput) with the row's file:line for a template that fails or whose rendering of
// the prompt is not the beginning of its rendering of the whole; what depends on the row alone is reported in `unusable`.
EncodeResult encode_row(const PreferenceRow& row, const text::ModelText& text, const DataOptions& options,
                        std::time_t now);

}  // namespace ddro::data
