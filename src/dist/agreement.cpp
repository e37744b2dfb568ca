#include "ddro/dist/agreement.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ddro/base/hash.h"

namespace ddro::dist {
namespace {

std::string value_of(const Json& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "nothing" : found->dump();
}

Error disagreement(const Json& first, const Json& other, int rank) {
  std::vector<std::string> names;
  for (const Json& facts : {first, other}) {
    for (const auto& item : facts.items()) names.push_back(item.key());
  }
  const auto differs = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
    return value_of(first, name) != value_of(other, name);
  });
  const std::string name = differs == names.end() ? "configuration" : *differs;
  return input_error("[" + name + "] is not the same on all ranks; got " + printable(value_of(other, name)) +
                     " on rank " + std::to_string(rank) + ", expected " + printable(value_of(first, name)) +
                     " as on rank 0; start every rank with the same program, configuration and files");
}

}  // namespace

void check_agreement(const Communicator& ranks, const Json& facts) {
  const std::string text = facts.dump();
  const std::vector<std::string> hashes = ranks.all_gather(hash_text(text));
  const auto other =
      std::find_if(hashes.begin(), hashes.end(), [&](const auto& hash) { return hash != hashes[0]; });
  if (other == hashes.end()) return;
  const std::vector<std::string> all = ranks.all_gather(text);
  const auto rank = static_cast<size_t>(other - hashes.begin());
  throw disagreement(Json::parse(all[0]), Json::parse(all[rank]), static_cast<int>(rank));
}

}  // namespace ddro::dist
