// What each chart of a report shows.
#pragma once

#include <string>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::report {

enum class Source { kBoth, kTrain, kEval };  // training steps, evaluations

struct Quantity {
  std::string metric;
  std::string label;      // empty where a chart has one quantity
  bool has_band = false;  // between the metrics <metric>_p10 and <metric>_p90
};

struct PanelSpec {
  std::string title;
  std::string text;  // what is drawn, in a line
  std::string unit;
  std::string scale;  // of the y axis: linear, log, or share (0 to 100 %)
  std::vector<Quantity> quantities;
  Source source = Source::kBoth;
  bool zero = false;    // whether the axis includes 0
  Json mark = nullptr;  // a value worth a line
  double factor = 1;    // of the metric, to be in `unit`
};

// In the order of the page.
const std::vector<PanelSpec>& panel_specs();

}  // namespace ddro::report
