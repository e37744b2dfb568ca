#include "ddro/doctor/doctor.h"

#include <gmock/gmock.h>

#include "doctor/checks.h"
#include "unit/doctor/small_machine.h"

namespace ddro::doctor {
namespace {

using test::named;
using test::SmallMachine;

TEST(Versions, AnotherLibTorchIsFound) {
  Machine machine = SmallMachine().machine();
  EXPECT_EQ(named(check_versions(machine), "libtorch").status, Status::kOk);
  machine.loaded_libtorch = (2ULL << 56) + (10ULL << 48);
  const Finding finding = named(check_versions(machine), "libtorch");
  EXPECT_EQ(finding.status, Status::kFailed);
  EXPECT_EQ(finding.text, "got 2.10.0, expected 2.11.0");
  EXPECT_EQ(finding.hint, "install torch==2.11.0");
}

TEST(Findings, AreOneLineEach) {
  const Finding finding = {"cpu_quota", Status::kWarning, "1.5 CPUs", 1.5, "raise it"};
  EXPECT_EQ(to_line(finding), "warning  cpu_quota                         1.5 CPUs; raise it");
  EXPECT_EQ(to_json(finding), Json({{"name", "cpu_quota"},
                                    {"status", "warning"},
                                    {"value", 1.5},
                                    {"text", "1.5 CPUs"},
                                    {"hint", "raise it"}}));
}

}  // namespace
}  // namespace ddro::doctor
