// Samples of the runs, prompt by prompt, as data for the page's script.
#pragma once

#include <vector>

#include "ddro/base/json.h"
#include "ddro/report/run_history.h"

namespace ddro::report {

// {"total": number of prompts, "prompts": [{"prompt", "cells": [{"label", "run", "text"}]}]}: for the first
// prompts what each run answered at its first and its last step with samples. Equal answers of several runs
// before training are one cell, whose run is null.
Json make_samples(const std::vector<RunHistory>& runs);

}  // namespace ddro::report
