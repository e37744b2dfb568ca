#include "ddro/base/interruption.h"

#include <gtest/gtest.h>

#include <thread>

#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

TEST(Interruption, IsAskedForInTheThreadAndTheTimeOfItsObject) {
  leave_if_interrupted();
  {
    const Interruptible outer([] { return true; });
    EXPECT_THROW(leave_if_interrupted(), Interrupted);
    std::jthread([] { leave_if_interrupted(); });
    {
      const Interruptible inner([] { return false; });
      leave_if_interrupted();
    }
    EXPECT_THROW(leave_if_interrupted(), Interrupted);
  }
  leave_if_interrupted();
}

// A file of 200 MB without a byte on the disk.
TEST(Interruption, LeavesTheHashOfALargeFile) {
  const test::TemporaryFolder folder;
  const auto path = folder.write("large", "x");
  std::filesystem::resize_file(path, 200 << 20);
  int asked = 0;
  {
    const Interruptible early([&] { return ++asked == 3; });
    EXPECT_THROW(hash_file(path), Interrupted);
  }
  EXPECT_EQ(asked, 3);
  const std::string whole = hash_file(path);
  {
    const Interruptible never([&] { return ++asked < 0; });
    EXPECT_EQ(hash_file(path), whole);
  }
  EXPECT_GE(asked, 3 + 10) << "asked too rarely";
}

}  // namespace
}  // namespace ddro
