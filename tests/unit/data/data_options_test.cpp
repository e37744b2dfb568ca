#include "ddro/data/data_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "ddro/base/error.h"

namespace ddro::data {
namespace {

using testing::HasSubstr;

TEST(DataOptions, AcceptsTheDefaultsWithAFile) {
  DataOptions options;
  options.train_files.push_back({"train.jsonl", 0.3});
  options.eval_files = {{"held_out-2", "eval.jsonl"}};
  EXPECT_NO_THROW(options.validate());
}

TEST(DataOptions, NamesTheKeyThatIsWrong) {
  const std::vector<std::pair<std::function<void(DataOptions&)>, std::string>> cases = {
      {[](DataOptions& o) { o.train_files.clear(); }, "[data.train_files] no files"},
      {[](DataOptions& o) { o.train_files.push_back({""}); }, "[data.train_files] an empty path"},
      {[](DataOptions& o) { o.train_files[0].weight = 0; },
       "[data.train_files] is out of range; got the weight 0 of train.jsonl, expected a number above 0"},
      {[](DataOptions& o) { o.train_files[0].weight = -1; }, "got the weight -1 of train.jsonl"},
      {[](DataOptions& o) { o.train_files[0].weight = std::nan(""); }, "got the weight nan of train.jsonl"},
      {[](DataOptions& o) { o.train_files[0].weight = 1001; }, "got the weight 1001 of train.jsonl"},
      {[](DataOptions& o) {
         o.columns = {{"topic", "q"}};
       },
       "[data.columns] no field of a row; got \"topic\", expected one of prompt, chosen, rejected, "},
      {[](DataOptions& o) {
         o.columns = {{"prompt", ""}};
       },
       "[data.columns.prompt] is out of range; got an empty text"},
      {[](DataOptions& o) {
         o.chat_template_kwargs = {{"messages", 1}};
       },
       "[data.chat_template_kwargs] \"messages\" comes from the row"},
      {[](DataOptions& o) { o.eval_files[""] = "x"; }, "[data.eval_files] not the name of a set; got \"\""},
      {[](DataOptions& o) { o.eval_files["a/b"] = "x"; },
       "[data.eval_files] not the name of a set; got \"a/b\""},
      {[](DataOptions& o) { o.eval_files["dev"] = ""; }, "[data.eval_files.dev] an empty path"},
      {[](DataOptions& o) { o.max_length = 1; }, "[data.max_length] too small; got 1, expected at least 2"},
      {[](DataOptions& o) { o.max_length = -5; }, "[data.max_length] too small; got -5"},
      {[](DataOptions& o) { o.chat_template = ""; }, "[data.chat_template] an empty path"},
      {[](DataOptions& o) { o.token_cache_dir = ""; },
       "[data.token_cache_dir] is out of range; got an empty text, expected a folder, or null"},
  };
  for (const auto& [spoil, expected] : cases) {
    DataOptions options;
    options.train_files.push_back({"train.jsonl"});
    spoil(options);
    try {
      options.validate();
      ADD_FAILURE() << "accepted; expected " << expected;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), HasSubstr(expected));
    }
  }
}

}  // namespace
}  // namespace ddro::data
