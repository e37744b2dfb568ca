// A sampled completion as a line of JSON.
#pragma once

#include "ddro/base/json.h"
#include "ddro/data/prompts.h"
#include "ddro/generate/generate.h"

namespace ddro::run {

// {"prompt": as the file has it, "completion": text, "finished": bool, "logp": number}
Json completion_json(const data::Prompt& prompt, const generate::Completion& completion);

}  // namespace ddro::run
