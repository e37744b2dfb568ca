// What a run is made of, and which of it may change between its start and a resume.
#pragma once

#include <set>
#include <string>

#include "ddro/base/json.h"
#include "ddro/run/loaded_run.h"

namespace ddro::run {

// A flat JSON object, name -> value: every key of the configuration (as in a YAML file), and what the
// configuration resolves to: hashes, numbers of steps, types. The names data, tokenizer, template,
// base_model, loss and reference are those of --allow-change.
using RunIdentity = Json;

RunIdentity run_identity(const LoadedRun& run);

// Compares the identity stored with a checkpoint with the current one. Error(kInput) for a change that alters
// the run's meaning (unless `allowed` names it) or the order of samples; other changes are logged, old ->
// new, those that may change bits as warnings. A name that `stored` lacks is not compared: an older version
// wrote it.
void check_can_resume(const RunIdentity& stored, const RunIdentity& current,
                      const std::set<std::string>& allowed);

// The same for a run that has ended: a change that would have made it another run is Error(kInput), any other
// is a warning that it has no effect.
void check_is_same_run(const RunIdentity& stored, const RunIdentity& current);

}  // namespace ddro::run
