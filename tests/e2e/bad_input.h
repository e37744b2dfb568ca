// Inputs that the program has to refuse, and the folder in which a test breaks something.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "support/fixtures.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {

using Arguments = std::vector<std::string>;

// A folder with a whole run that would work: model/, train.jsonl, eval.jsonl, run.yaml; its output would go
// to run/. In every text given to it, "@" stands for this folder.
class Scene {
 public:
  Scene();

  std::filesystem::path path(const std::string& relative) const { return folder_ / relative; }
  std::string at(std::string text) const;

  // Each returns the scene, so that a case is one expression.
  Scene& write(const std::string& relative, const std::string& content);
  Scene& append_config(const std::string& lines);
  Scene& remove(const std::string& relative);
  // Bytes of a file of the folder, changed as they are; or read as JSON, changed and written back.
  Scene& change_bytes(const std::string& relative, const std::function<void(std::string&)>& change);
  Scene& change_json(const std::string& relative, const std::function<void(Json&)>& change);
  // The JSON header of a safetensors file; the data stay.
  Scene& change_header(const std::string& relative, const std::function<void(Json&)>& change);
  // After the rows that train: one more.
  Scene& add_row(const std::string& row);

  // Two steps, which leave checkpoints/step_000001 and step_000002; then the run's end is forgotten.
  Scene& train_two_steps();
  // Makes a checkpoint's manifest fit its changed files; `change` may forge the rest.
  Scene& reseal(const std::string& checkpoint, const std::function<void(Json&)>& change = {});

  Arguments train(const Arguments& more = {}) const;
  Arguments train_with(const std::string& override) const { return train({"--set", override}); }
  Arguments command(Arguments arguments) const;

  // Every file and folder in it, with sizes.
  std::vector<std::string> listing() const;

 private:
  TemporaryFolder folder_;
};

struct BadInput {
  std::string name;
  int exit_code = 2;
  std::string phrase;                        // in the one line on stderr
  std::function<Arguments(Scene&)> arrange;  // breaks something, and says how the program is called
  std::string input = "";                    // standard input
  bool writes = false;                       // whether anything may be left behind
  std::vector<std::string> wrapper = {};     // a program that starts the program
  double cpu_seconds = 2;  // that it may take at most; LibTorch's libraries load in 0.7 to 1.1
};

inline void PrintTo(const BadInput& bad, std::ostream* out) { *out << bad.name; }

class BadInputs : public ::testing::TestWithParam<BadInput> {};

inline std::string case_name(const ::testing::TestParamInfo<BadInput>& info) { return info.param.name; }

// Registers the cases of one file.
#define DDRO_BAD_INPUTS(kind, cases) \
  INSTANTIATE_TEST_SUITE_P(kind, BadInputs, ::testing::ValuesIn(cases), case_name)

}  // namespace ddro::test
