// The files of a checkpoint's tensors: one of each kind, or of several ranks one from each. Of a model they
// are those of a Hugging Face folder.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/run/loaded_run.h"
#include "ddro/train/optimizer.h"

namespace ddro::run {

// Tensors of one kind, whole, each written by one rank.
struct StateFiles {
  std::string stem;             // "model", "adapter_model", "optimizer"
  train::StateTensors tensors;  // as a file has them in order
  std::vector<int> rank_of;
  std::map<std::string, std::string> metadata;

  int count() const;                 // of the first ranks, one each
  std::string name(int rank) const;  // "model.safetensors", or "model-00001-of-00004.safetensors"
  TensorSources of(int rank) const;  // without what fetches them
};

// The trained weights, then the optimizer's state. An adapter is one file, as PEFT reads it.
std::vector<StateFiles> state_files(const LoadedRun& run, const train::Parameters& parameters,
                                    const train::Optimizer& optimizer);

// Calls `use` on each rank with its tensors of each of the files; see train::lend_whole.
void lend_whole(const std::vector<StateFiles>& files, const dist::Communicator& ranks,
                const std::function<void(const std::vector<TensorSources>&)>& use);

// model.safetensors.index.json for more than one file.
std::string index_text(const StateFiles& files);

// What the files of one kind in a checkpoint's folder hold, read from the disk as it is used.
NamedTensors read_state(const std::filesystem::path& folder, const std::string& stem);

}  // namespace ddro::run
