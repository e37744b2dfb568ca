// The charts of a report, as data for the page's script.
#pragma once

#include <vector>

#include "ddro/base/json.h"
#include "ddro/report/run_history.h"

namespace ddro::report {

// An array with one object a chart: title, text, unit, scale (linear, log or share), zero (whether the axis
// includes it), mark (a value worth a line, or null), group (charts of one group share their axis), and
// lines. A line has run (index), set (null: training), what (null, or what is drawn where a chart has several
// quantities), steps, values and, for a band, low and high. Charts without a value are left out. With several
// runs, a chart of several quantities becomes one for each.
Json make_panels(const std::vector<RunHistory>& runs);

}  // namespace ddro::report
