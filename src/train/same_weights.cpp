#include "ddro/train/same_weights.h"

#include <ATen/core/grad_mode.h>

#include <string>

#include "ddro/base/error.h"
#include "train/sum_of_bits.h"

namespace ddro::train {

void check_same_weights(const Parameters& parameters, std::int64_t step) {
  const dist::Communicator& ranks = parameters.ranks();
  if (ranks.size() == 1) return;
  const at::NoGradGuard no_grad;
  std::vector<std::string> names;
  std::string sums;
  for (const Parameter& entry : parameters.entries()) {
    if (!entry.trainable || entry.in_parts) continue;
    const std::uint64_t sum = sum_of_bits(parameters.is_sharded() ? entry.compute : entry.master);
    names.push_back(entry.name);
    sums.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  }
  const std::vector<std::string> all = ranks.all_gather(sums);
  for (size_t rank = 1; rank < all.size(); ++rank) {
    for (size_t i = 0; i < names.size(); ++i) {
      const size_t at = i * sizeof(std::uint64_t);
      if (all[rank].compare(at, sizeof(std::uint64_t), all[0], at, sizeof(std::uint64_t)) == 0) continue;
      throw Error(ErrorKind::kInternal, "[ranks] after step " + std::to_string(step) +
                                            " the weights of rank " + std::to_string(rank) +
                                            " are not those of rank 0 any more (" + names[i] +
                                            "); the last checkpoint is kept");
    }
  }
}

}  // namespace ddro::train
