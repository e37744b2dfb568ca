#include "ddro/base/hash.h"

#include <gmock/gmock.h>

#include "ddro/base/random.h"
#include "support/temporary_folder.h"

namespace ddro {
namespace {

// XXH3-128 with seed 0, as the reference implementation's command line (xxhsum -H2) prints them.
TEST(Hash, GivesTheKnownValues) {
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_text("a"), "a96faf705af16834e6c632b61e964e1f");
  EXPECT_EQ(hash_text("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(Hash, DoesNotDependOnHowTheBytesArrive) {
  std::string text;
  for (std::uint64_t i = 0; i < 5000; ++i) text += static_cast<char>(random_bits(1, 2, i));
  const std::string whole = hash_text(text);
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{240}, size_t{256}, size_t{4999}}) {
    Hasher hasher;
    for (size_t at = 0; at < text.size(); at += piece)
      hasher.update(std::string_view(text).substr(at, piece));
    EXPECT_EQ(hasher.hex(), whole) << piece;
  }
  const test::TemporaryFolder folder;
  EXPECT_EQ(hash_file(folder.write("f", text)), whole);
  EXPECT_EQ(hash_file(folder.write("empty", "")), hash_text(""));
}

}  // namespace
}  // namespace ddro
