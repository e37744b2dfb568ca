// A run of the program on the tiny model of tests/fixtures/make_tiny_run.py.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/json.h"
#include "support/background_program.h"
#include "support/fixtures.h"

namespace ddro::test {

inline constexpr int kTinySteps = 28;  // 4 epochs of 56 pairs, 8 a step

// The whole lines of a text or a file.
inline std::vector<Json> json_lines_of(const std::string& text) {
  std::vector<Json> lines;
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin))
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
  return lines;
}
inline std::vector<Json> json_lines(const std::filesystem::path& path) {
  return json_lines_of(read_file(path));
}

class TinyRun {
 public:
  // Writes a configuration into `folder`; `extra` are further --set overrides. So is DDRO_TINY_SETTING in the
  // environment of the tests, which has all of them run another way.
  explicit TinyRun(const std::filesystem::path& folder, std::vector<std::string> extra = {})
      : folder_(folder), extra_(std::move(extra)) {
    const std::string base = fixture("tiny_run/model").parent_path().string();
    const std::string text =
        "model: {model_name_or_path: " + base + "/model, dtype: float32}\n" + "data:\n  train_files: [" +
        base + "/pairs_train.jsonl]\n  eval_files: {held_out: " + base + "/pairs_eval.jsonl}\n" +
        "  max_length: 128\n" + "train: {output_dir: " + output_dir().string() +
        ", train_batch_size: 8, micro_batch_tokens: 160, num_train_epochs: 4}\n" +
        "optimizer: {learning_rate: 3.0e-3}\neval: {eval_steps: 7}\ncheckpoint: {save_steps: 3}\n";
    write_file_atomic(config(), text);
  }

  std::filesystem::path config() const { return folder_ / "run.yaml"; }
  std::filesystem::path output_dir() const { return folder_ / "run"; }
  std::filesystem::path log() const { return folder_ / "stderr.txt"; }

  std::vector<std::string> arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {environment_path("DDRO_TRAIN").string(), "train", config().string()};
    if (const char* everywhere = std::getenv("DDRO_TINY_SETTING"))
      all.insert(all.end(), {"--set", everywhere});
    for (const std::string& override : extra_) all.insert(all.end(), {"--set", override});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  // Runs to its end; its exit code (negative: ended by that signal).
  int run(const std::vector<std::string>& more = {}, const std::vector<std::string>& environment = {}) const {
    BackgroundProgram program(arguments(more), log().string(), environment);
    const ExitStatus status = program.wait(120);
    return status.signal != 0 ? -status.signal : status.code;
  }

  std::string log_text() const { return read_file(log()); }

  std::vector<Json> metrics(const std::string& kind) const {
    std::vector<Json> lines;
    for (Json& line : json_lines(output_dir() / "metrics.jsonl")) {
      if (line["kind"] == kind) lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::string> extra_;
};

// What must not depend on interruptions: the metrics without times and memory.
inline std::string lasting_metrics(const TinyRun& run) {
  std::string text;
  for (const char* kind : {"train", "eval"}) {
    for (Json line : run.metrics(kind)) {
      for (const char* fleeting : {"step_time_s", "data_wait_s", "tokens_per_second", "mfu",
                                   "peak_memory_bytes", "eval_runtime", "eval_sampling_time_s"})
        line.erase(fleeting);
      text += line.dump() + "\n";
    }
  }
  return text;
}

// Settings of a run that samples two answers to each of two prompts at every evaluation.
inline std::vector<std::string> sampling() {
  return {"eval.prompts='" + fixture("tiny_run/pairs_eval.jsonl").string() + "'", "eval.num_prompts=2",
          "eval.num_samples=2", "eval.max_new_tokens=8"};
}

inline std::vector<Json> samples_of(const TinyRun& run) {
  return json_lines(run.output_dir() / "samples.jsonl");
}

}  // namespace ddro::test
