// Who else can write where a run writes, and where its writes end up.
#pragma once

#include <filesystem>

#include "ddro/checkpoint/checkpoint.h"

namespace ddro::run {

// Error(kInput) where something that a run makes in `output_dir` is a symbolic link: its outputs stay below
// the folder, which itself may be reached by one.
void refuse_links(const std::filesystem::path& output_dir);

// Error(kModel) for a checkpoint that every user of the machine could have changed, by its files, its folder
// or the two above, unless that is allowed. A warning where a group could.
void check_writers(const checkpoint::Checkpoint& from, bool allow_world_writable);

}  // namespace ddro::run
