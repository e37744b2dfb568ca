#include "losses/family.h"

#include <algorithm>

#include "ddro/base/error.h"

namespace ddro::losses {
namespace {

const std::vector<LossFamily>& families() {
  static const std::vector<LossFamily> all = [] {
    std::vector<LossFamily> list = {ddro_family(), rdro_family()};
    for (const auto& several : {pair_families(), reference_free_families(), kto_families()}) {
      list.insert(list.end(), several.begin(), several.end());
    }
    list.push_back(bco_family());
    list.push_back(sft_family());
    list.push_back(mixture_nll_family());
    return list;
  }();
  return all;
}

template <typename Holds>
bool any_of(const LossTypes& types, Holds holds) {
  return std::any_of(types.all.begin(), types.all.end(),
                     [&](LossType type) { return holds(family_of(type)); });
}

}  // namespace

const LossFamily& family_of(LossType type) {
  const auto found = std::find_if(families().begin(), families().end(),
                                  [type](const LossFamily& family) { return family.type == type; });
  DDRO_CHECK(found != families().end(), "no such loss type: " + std::to_string(static_cast<int>(type)));
  return *found;
}

bool needs_reference(const LossTypes& types) {
  return any_of(types, [](const LossFamily& family) { return family.reads_reference; });
}

bool needs_pairs(const LossTypes& types) {
  return any_of(types, [](const LossFamily& family) { return family.needs_pairs; });
}

bool needs_mismatched(const LossTypes& types) {
  return any_of(types, [](const LossFamily& family) { return family.needs_mismatched; });
}

std::string loss_name(const LossTypes& types) {
  std::string name;
  for (const LossType type : types.all) name += (name.empty() ? "" : "+") + std::string(family_of(type).name);
  return name;
}

std::vector<std::pair<std::string, LossType>> loss_names() {
  std::vector<std::pair<std::string, LossType>> names;
  for (const LossFamily& family : families()) {
    names.emplace_back(family.name, family.type);
    if (family.other_name != nullptr) names.emplace_back(family.other_name, family.type);
  }
  return names;
}

}  // namespace ddro::losses
