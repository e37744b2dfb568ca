#include "ddro/base/nameless_file.h"

#include <gmock/gmock.h>

#include "ddro/base/files.h"
#include "support/count_entries.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::count_entries;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(NamelessFile, OnDiskIsSeenByItsProcessAloneUntilItHasAName) {
  const TemporaryFolder folder;
  NamelessFile file(folder.path());
  file.write("abc");
  EXPECT_EQ(count_entries(folder.path()), 0u);
  const MappedFile mapped(file.process_path());
  file.write("def");
  EXPECT_EQ(mapped.bytes().size(), 3u);
  EXPECT_EQ(mapped.bytes()[2], std::byte{'c'});
  const auto path = folder.write("f", "old");
  folder.write("f.tmp", "left by a killed writer");
  if (!file.publish(path)) GTEST_SKIP() << "the disk has no files that get a name later";
  EXPECT_EQ(read_file(path), "abcdef");
  EXPECT_EQ(count_entries(folder.path()), 1u);
}

TEST(NamelessFile, SaysWhatItCannotDo) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { NamelessFile(folder.path() / "absent"); }),
              HasSubstr("absent/(a file without a name)] cannot be created: No such file"));
  NamelessFile file(folder.path());
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { file.publish(folder.path()); }),
              HasSubstr("exists and is not a regular file"));
}

}  // namespace
}  // namespace ddro
