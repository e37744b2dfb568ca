#include "ddro/base/error.h"
#include "ddro/checkpoint/checkpoint.h"

namespace ddro::checkpoint {

RunLock::RunLock(const std::filesystem::path& folder, ErrorKind when_held) : lock_(folder / ".lock") {
  if (lock_.try_lock()) return;
  throw Error(when_held, "[" + printable((folder / ".lock").string(), 400) + "] the folder is in use by " +
                             lock_.holder() + "; choose another train.output_dir or wait for it to end");
}

}  // namespace ddro::checkpoint
