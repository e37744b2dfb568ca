// The tables of a report, as data for the page's script. Every cell is a text.
#pragma once

#include <vector>

#include "ddro/base/json.h"
#include "ddro/report/run_history.h"

namespace ddro::report {

// [{"name", "values": one a run}]: state, objective, tokens, time, speed, memory, version.
Json make_facts(const std::vector<RunHistory>& runs);

// [{"set", "rows": [{"name", "text", "runs": [{"first", "last", "change", "steps"}]}]}]: each metric at the
// first and the last evaluation that has it. A run without one has null, a run with one evaluation no first
// and no change.
Json make_summary(const std::vector<RunHistory>& runs);

// [{"name": dotted key, "values": one a run}]: of several runs the keys whose values differ, of one run all.
// A run without a key has null.
Json make_settings(const std::vector<RunHistory>& runs);

}  // namespace ddro::report
