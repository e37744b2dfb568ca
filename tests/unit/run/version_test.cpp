#include "ddro/run/version.h"

#include <gmock/gmock.h>
#include <torch/version.h>

#include "support/expect_error.h"

namespace ddro::run {
namespace {

TEST(Version, OfTheLoadedLibTorchIsTheOneBuiltAgainst) {
  EXPECT_EQ(libtorch_text(loaded_libtorch()), TORCH_VERSION);
  EXPECT_NO_THROW(require_libtorch(loaded_libtorch(), built_libtorch()));
}

TEST(Version, AnotherLibTorchIsRefused) {
  const std::uint64_t older = (2ULL << 56) + (10ULL << 48) + (1ULL << 40);
  EXPECT_EQ(test::message_of(ErrorKind::kModel, [&] { require_libtorch(older, built_libtorch()); }),
            "[LibTorch] another version is loaded; got 2.10.1, expected " TORCH_VERSION
            "; install torch==" TORCH_VERSION);
}

}  // namespace
}  // namespace ddro::run
