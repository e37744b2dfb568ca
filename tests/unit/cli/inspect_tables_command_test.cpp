// The tables of the documents that scripts/tables writes.
#include <gmock/gmock.h>

#include "ddro/base/files.h"
#include "support/fixtures.h"
#include "support/run_program.h"

namespace ddro {
namespace {

using ::testing::HasSubstr;

struct Table {
  const char* list;
  const char* document;
  const char* row;
};

class InspectTable : public ::testing::TestWithParam<Table> {};

TEST_P(InspectTable, PrintsWhatTheDocumentHas) {
  const Table& table = GetParam();
  const test::ProgramResult result = test::ddro_train({"inspect", table.list});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(table.row));
  const std::string marker = std::string("\n<!-- ddro-train inspect ") + table.list + " -->\n";
  EXPECT_THAT(read_file(test::source_path(table.document)), HasSubstr(marker + result.out + "\n"))
      << "run scripts/tables";
}

INSTANTIATE_TEST_SUITE_P(
    All, InspectTable,
    ::testing::Values(Table{"families", "docs/models.md",
                            "| `gemma2` | Gemma 2 | `CausalLmParity.*/gemma2(_.*)?$` |\n"},
                      Table{"formats", "docs/data.md", "| `.parquet` | a row each; "},
                      Table{"layouts", "docs/data.md", "| `Layouts.AreRecognisedAndRead/hh_` |\n"}),
    [](const auto& each) { return std::string(each.param.list); });

}  // namespace
}  // namespace ddro
