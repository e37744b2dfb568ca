// One self-contained HTML page about one or several runs.
#pragma once

#include <string>
#include <vector>

#include "ddro/report/run_history.h"

namespace ddro::report {

// Charts of all runs over each other, and tables of what they ended with and how they differ. The page loads
// nothing; texts of the runs reach it as data, never as markup. A function of its argument alone.
std::string render_page(const std::vector<RunHistory>& runs);

}  // namespace ddro::report
