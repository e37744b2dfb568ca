// What a run is made of, and which of it may change between its start and a resume.
#pragma once

#include <set>
#include <string>

#include "ddro/base/json.h"

namespace ddro::train {

// A flat JSON object: name -> value, in the order of docs/reliability.md's table. The names data, tokenizer,
// template, base_model, loss and reference are those of --allow-change.
using RunIdentity = Json;

// Compares the identity stored in a checkpoint with the current one. Error(kInput) for a change that alters
// the run's meaning (unless `allowed` names it) or the order of samples; other changes are logged, old ->
// new, those that may change bits as warnings.
void check_identity(const RunIdentity& stored, const RunIdentity& current,
                    const std::set<std::string>& allowed);

// The names that --allow-change takes.
const std::set<std::string>& allowable_changes();

}  // namespace ddro::train
