#include "run/prometheus_file.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/heartbeat.h"

namespace ddro::run {
namespace {

// Where the rules of exposed_name do not give what Prometheus' conventions ask for. Counters end with _total.
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"num_tokens", "tokens_total"}, {"skipped_steps", "skipped_steps_total"},
    {"mfu", "mfu_ratio"},           {"rewards/accuracies", "rewards_accuracies_ratio"},
    {"runtime", "runtime_seconds"},
};

struct Sample {
  std::string set;  // of an evaluation; empty for what is not of one set
  std::string metric;
  double value = 0;
};

std::string exposed_name(const std::string& metric) {
  for (const auto& [ours, exposed] : kNames) {
    if (metric == ours) return std::string(exposed);
  }
  std::string name = metric.ends_with("_s") ? metric + "econds" : metric;
  const auto is_foreign = [](unsigned char c) { return std::isalnum(c) == 0 && c != '_'; };
  std::replace_if(name.begin(), name.end(), is_foreign, '_');
  return name;
}

std::string label(const std::string& name, const std::string& value) {
  std::string text = name + "=\"";
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string shown(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return printable(value);
}

// eval_SET_loss is the first of a set's metrics, all of which begin with eval_SET_.
std::vector<Sample> evaluation_samples(const losses::Metrics& metrics) {
  constexpr std::string_view kPrefix = "eval_";
  constexpr std::string_view kLoss = "_loss";
  std::vector<Sample> samples;
  std::string prefix, set;
  for (const auto& [name, value] : metrics) {
    if ((set.empty() || !name.starts_with(prefix)) && name.ends_with(kLoss)) {
      prefix = name.substr(0, name.size() - kLoss.size() + 1);
      set = prefix.substr(kPrefix.size(), prefix.size() - kPrefix.size() - 1);
    }
    const bool of_set = !set.empty() && name.starts_with(prefix);
    samples.push_back({of_set ? set : "", name.substr(of_set ? prefix.size() : kPrefix.size()), value});
  }
  return samples;
}

std::vector<Sample> training_samples(const losses::Metrics& metrics) {
  std::vector<Sample> samples;
  for (const auto& [name, value] : metrics) samples.push_back({"", name, value});
  return samples;
}

// The samples of a name stand together, behind what is said of the name.
std::string exposition(const std::string& kind, const std::string& run, std::vector<Sample> samples) {
  std::stable_sort(samples.begin(), samples.end(),
                   [](const Sample& a, const Sample& b) { return a.metric < b.metric; });
  std::string text;
  for (size_t i = 0; i < samples.size(); ++i) {
    const Sample& sample = samples[i];
    const std::string name = "ddro_" + kind + "_" + exposed_name(sample.metric);
    if (i == 0 || sample.metric != samples[i - 1].metric) {
      text += "# HELP " + name + " " + sample.metric + " of the last " + kind + " line of metrics.jsonl\n";
      text += "# TYPE " + name + (name.ends_with("_total") ? " counter\n" : " gauge\n");
    }
    text += name + "{" + run + (sample.set.empty() ? "" : "," + label("set", sample.set)) + "} " +
            shown(sample.value) + "\n";
  }
  return text;
}

}  // namespace

PrometheusFile::PrometheusFile(const std::filesystem::path& folder)
    : path_(folder / "metrics.prom"), run_(label("run", folder.string())) {}

void PrometheusFile::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  std::vector<Sample> samples = kind == "eval" ? evaluation_samples(metrics) : training_samples(metrics);
  samples.push_back({"", "step", static_cast<double>(step)});
  samples.push_back({"", "timestamp_s", seconds_since_1970()});
  text_[kind] = exposition(kind, run_, std::move(samples));
  std::string all;
  for (const auto& [each, text] : text_) all += text;
  replace_file(path_, all);
}

}  // namespace ddro::run
