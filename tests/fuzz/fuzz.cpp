// libFuzzer's entry: DDRO_FUZZ_TARGET names the target. scripts/fuzz runs it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "ddro/base/log.h"
#include "fuzz/targets.h"

namespace {

ddro::test::Target target = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("DDRO_FUZZ_TARGET");
  const auto found = ddro::test::targets().find(name == nullptr ? "" : name);
  if (found == ddro::test::targets().end()) {
    std::fputs("DDRO_FUZZ_TARGET names none of:", stderr);
    for (const auto& [known, function] : ddro::test::targets()) std::fprintf(stderr, " %s", known.c_str());
    std::fputs("\n", stderr);
    std::exit(2);
  }
  target = found->second;
  ddro::set_log_level(ddro::LogLevel::kOff);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  target({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
