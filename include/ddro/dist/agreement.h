// Whether all ranks are about to do the same.
#pragma once

#include "ddro/base/json.h"
#include "ddro/dist/communicator.h"

namespace ddro::dist {

// `facts`: an object, name -> value. Error(kInput) naming the first that differs from rank 0's, and the rank.
void check_agreement(const Communicator& ranks, const Json& facts);

}  // namespace ddro::dist
