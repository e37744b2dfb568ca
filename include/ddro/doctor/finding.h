// What one check of the machine found.
#pragma once

#include <string>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/json.h"

namespace ddro::doctor {

enum class Status {
  kOk,
  kWarning,  // it works, and could work better
  kFailed,   // something that training needs does not work
  kSkipped,  // there is nothing here to check
};

struct Finding {
  std::string name;  // the same on every machine, "kernel swiglu bfloat16"
  Status status = Status::kOk;
  std::string text;       // what was found, for people
  Json value = nullptr;   // the same for programs
  std::string hint = {};  // what to do about it
};

using Findings = std::vector<Finding>;

std::string to_line(const Finding& finding);  // "warning  cpu_quota    1.5 CPUs, fewer than 2 cores; hint"
Json to_json(const Finding& finding);

}  // namespace ddro::doctor

namespace ddro {

template <>
struct EnumNames<doctor::Status> {
  using E = doctor::Status;
  static constexpr std::array<EnumName<E>, 4> kNames = {
      {{"ok", E::kOk}, {"warning", E::kWarning}, {"failed", E::kFailed}, {"skipped", E::kSkipped}}};
};

}  // namespace ddro
