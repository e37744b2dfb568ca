#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "support/run_program.h"

namespace ddro {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(InspectFamilies, PrintsTheTableOfTheDocuments) {
  const test::ProgramResult result = test::ddro_train({"inspect", "families"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              ::testing::HasSubstr("| `gemma2` | Gemma 2 | `CausalLmParity.*/gemma2(_.*)?$` |\n"));
  EXPECT_THAT(read(std::string(std::getenv("DDRO_SOURCE_DIR")) + "/docs/models.md"),
              ::testing::HasSubstr("\n\n" + result.out + "\n"));
}

}  // namespace
}  // namespace ddro
