#include "ddro/base/files.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/count_entries.h"
#include "support/expect_error.h"
#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

using test::count_entries;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(ReadFile, GivesTheBytes) {
  const TemporaryFolder folder;
  const std::string content("a\0b\r\n\xff", 6);
  EXPECT_EQ(read_file(folder.write("f", content)), content);
  EXPECT_EQ(read_file(folder.write("empty", "")), "");
}

TEST(ReadFile, RefusesWhatIsNotASmallFile) {
  const TemporaryFolder folder;
  const auto refusal = [](const std::filesystem::path& path) {
    return message_of(ErrorKind::kInput, [&] { read_file(path, ErrorKind::kInput, 3); });
  };
  EXPECT_THAT(refusal(folder.path()), HasSubstr("is a folder; expected a file"));
  EXPECT_THAT(refusal(folder.path() / "absent"), HasSubstr("cannot be opened: No such file"));
  EXPECT_THAT(refusal(folder.write("big", "1234")), HasSubstr("is too large; got 4 bytes, at most 3"));
  const auto fifo = folder.path() / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(refusal(fifo), HasSubstr("is not a regular file"));
  EXPECT_THAT(refusal(folder.path() / "line\nbreak"), HasSubstr("line\\nbreak"));
}

TEST(MappedFile, KeepsChangesToItself) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "abc");
  const MappedFile mapped(path);
  ASSERT_EQ(mapped.bytes().size(), 3u);
  mapped.bytes()[0] = std::byte{'X'};
  EXPECT_EQ(read_file(path), "abc");
  EXPECT_TRUE(MappedFile(folder.write("empty", "")).bytes().empty());
}

// Of a size that no machine has, with nothing in it.
TEST(MappedFile, OfTheDiskMayBeLargerThanMemory) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer leaves no room for it among the addresses";
#endif
  const TemporaryFolder folder;
  const std::string path = folder.write("f", "abc");
  constexpr std::uint64_t kSize = std::uint64_t{1} << 43;
  std::error_code failure;
  std::filesystem::resize_file(path, kSize, failure);
  if (failure) GTEST_SKIP() << "the disk has no files of that size: " << failure.message();
  const MappedFile mapped(path);
  ASSERT_EQ(mapped.bytes().size(), kSize);
  EXPECT_EQ(mapped.bytes()[1], std::byte{'b'});
  EXPECT_EQ(mapped.bytes()[kSize - 1], std::byte{0});
}

TEST(WriteFileAtomic, ReplacesAFile) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "old and longer");
  folder.write("f.tmp", "left by a killed writer");
  write_file_atomic(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(count_entries(folder.path()), 1u);
}

TEST(WriteFileAtomic, ReachesTheNameOnlyWhenWhole) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "old");
  const MappedFile reader(path);
  write_file_atomic(path, "new");
  EXPECT_EQ(static_cast<char>(reader.bytes()[0]), 'o');  // a reader of the old file keeps it
}

TEST(WriteFileAtomic, FollowsTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = umask(077);
  write_file_atomic(folder.path() / "f", "x");
  umask(before);
  struct stat info {};
  ASSERT_EQ(stat((folder.path() / "f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(WriteFileAtomic, LeavesNothingWhenItFails) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "folder");
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { write_file_atomic(folder.path() / "folder", "x"); }),
              HasSubstr("exists and is not a regular file"));
  EXPECT_THAT(message_of(ErrorKind::kSave, [] { write_file_atomic("/dev/null", "x"); }),
              HasSubstr("/dev/null"));
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { write_file_atomic(folder.path() / "absent" / "f", "x"); }),
              HasSubstr("absent/f.tmp] cannot be created: No such file"));
  EXPECT_EQ(count_entries(folder.path()), 1u);
}

TEST(WriteFileAtomic, WritesInPartsAndLeavesNothingWhenAPartFails) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "old");
  const auto fail = [](DurableFile& file) {
    file.write("half");
    throw std::runtime_error("no more");
  };
  EXPECT_THROW(write_file_atomic(path, fail), std::runtime_error);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(count_entries(folder.path()), 1u);
  write_file_atomic(path, [](DurableFile& file) {
    file.write("new ");
    file.write("text");
  });
  EXPECT_EQ(read_file(path), "new text");
}

TEST(ReplaceFile, PutsAWholeFileInThePlaceOfAnother) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "old");
  folder.write("f.tmp", "left by a killed writer");
  const MappedFile reader(path);
  replace_file(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(static_cast<char>(reader.bytes()[0]), 'o');
  std::filesystem::create_directory(folder / "folder");
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { replace_file(folder / "folder", "x"); }),
              HasSubstr("folder] cannot be renamed into place: Is a directory"));
  EXPECT_EQ(count_entries(folder.path()), 2u);
}

TEST(DurableFile, RefusesAFileThatExists) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "kept");
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { DurableFile file(path); }), HasSubstr("File exists"));
  EXPECT_EQ(read_file(path), "kept");
}

TEST(DurableFile, AppendsWhatIsWritten) {
  const TemporaryFolder folder;
  DurableFile file(folder.path() / "f");
  file.write("abc");
  file.write(std::as_bytes(std::span("de", 2)));
  file.close();
  EXPECT_EQ(file.size(), 5u);
  EXPECT_EQ(read_file(folder.path() / "f"), "abcde");
}

TEST(DurableFile, NeverFollowsALink) {
  const TemporaryFolder folder;
  const auto target = folder.write("target", "kept");
  const auto link = folder.path() / "link";
  std::filesystem::create_symlink(target, link);
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { DurableFile file(link); }), HasSubstr("File exists"));
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { DurableFile file(link, DurableFile::Mode::kAppend); }),
              HasSubstr("link] cannot be written: Too many levels of symbolic links"));
  write_file_atomic(link, "new");
  EXPECT_EQ(read_file(link), "new");
  EXPECT_EQ(read_file(target), "kept");
}

TEST(DurableFile, IsCutAndWrittenOn) {
  const TemporaryFolder folder;
  DurableFile file(folder.write("f", "abcdef"), DurableFile::Mode::kAppend);
  file.cut(2);
  file.write("x");
  file.close();
  EXPECT_EQ(read_file(folder.path() / "f"), "abx");
}

TEST(MakeFolder, MakesParents) {
  const TemporaryFolder folder;
  make_folder(folder.path() / "a" / "b" / "c");
  make_folder(folder.path() / "a" / "b" / "");
  make_folder(folder.path() / "a" / "x" / ".." / "y" / "");
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "a" / "b" / "c"));
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "a" / "y"));
  EXPECT_TRUE(test::ended_well(test::in_child([&] {
    std::filesystem::current_path(folder.path());
    make_folder("relative/deep");
    if (!std::filesystem::is_directory("relative/deep")) _exit(1);
  })));
}

TEST(MakeFolder, NamesWhatIsInTheWay) {
  const TemporaryFolder folder;
  const auto file = folder.write("f", "x");
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { make_folder(file); }),
              HasSubstr("a file of this name exists"));
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { make_folder(file / "below"); }),
              HasSubstr("Not a directory"));
}

TEST(RequireFreeSpace, ComparesWithTheDisk) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(require_free_space(folder.path(), 1));
  EXPECT_THAT(message_of(ErrorKind::kSave, [&] { require_free_space(folder.path(), UINT64_MAX); }),
              HasSubstr("18446744073709551615 bytes needed, "));
}

TEST(Failpoint, KillsAtTheGivenVisit) {
  EXPECT_TRUE(test::ended_well(test::in_child([] {
    setenv("DDRO_FAILPOINT", "other.point", 1);
    failpoint("other");
    failpoint("some.point");
  })));
  EXPECT_TRUE(test::was_killed(test::in_child([] {
    setenv("DDRO_FAILPOINT", "some.point:2", 1);
    failpoint("some.point");
    failpoint("other.point");
    failpoint("some.point");
    _exit(1);
  })));
}

}  // namespace
}  // namespace ddro
