#include "run/checkpoint_files.h"

#include <algorithm>
#include <cstdio>

#include "ddro/base/file_order.h"
#include "ddro/base/safetensors.h"
#include "run/policy_files.h"

namespace ddro::run {
namespace {

constexpr const char* kExtension = ".safetensors";

void sort_as_written(train::StateTensors& tensors) {
  std::ranges::sort(tensors, {}, [](const train::StateTensor& tensor) {
    return file_order(tensor.own.element_size(), tensor.name);
  });
}

StateFiles weight_files(const LoadedRun& run, const train::Parameters& parameters) {
  StateFiles files{weights_stem(run), parameters.state(), {}, weights_metadata(run)};
  sort_as_written(files.tensors);
  files.rank_of = run.adapter ? std::vector<int>(files.tensors.size())
                              : train::share_out(files.tensors, run.ranks->size());
  return files;
}

StateFiles optimizer_files(const LoadedRun& run, const train::Optimizer& optimizer) {
  StateFiles files{"optimizer", optimizer.state(), {}, {}};
  sort_as_written(files.tensors);
  files.rank_of = train::share_out(files.tensors, run.ranks->size());
  return files;
}

}  // namespace

int StateFiles::count() const { return 1 + std::ranges::max(rank_of); }

std::string StateFiles::name(int rank) const {
  if (count() == 1) return stem + kExtension;
  char place[32];
  std::snprintf(place, sizeof place, "-%05d-of-%05d", rank + 1, count());
  return stem + place + kExtension;
}

TensorSources StateFiles::of(int rank) const {
  TensorSources sources;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const train::StateTensor& tensor = tensors[i];
    if (rank_of[i] == rank) sources.push_back({tensor.name, tensor.own.scalar_type(), tensor.sizes, {}});
  }
  return sources;
}

std::vector<StateFiles> state_files(const LoadedRun& run, const train::Parameters& parameters,
                                    const train::Optimizer& optimizer) {
  return {weight_files(run, parameters), optimizer_files(run, optimizer)};
}

// At once, so that a rank which cannot write one file sends what the others need for all.
void lend_whole(const std::vector<StateFiles>& files, const dist::Communicator& ranks,
                const std::function<void(const std::vector<TensorSources>&)>& use) {
  train::StateTensors tensors;
  std::vector<int> rank_of;
  for (const StateFiles& each : files) {
    tensors.insert(tensors.end(), each.tensors.begin(), each.tensors.end());
    rank_of.insert(rank_of.end(), each.rank_of.begin(), each.rank_of.end());
  }
  train::lend_whole(tensors, rank_of, ranks, [&](const TensorSources& sources) {
    std::vector<TensorSources> by_file;
    auto next = sources.begin();
    for (const StateFiles& each : files) {
      const auto end = next + std::ranges::count(each.rank_of, ranks.rank());
      by_file.emplace_back(next, end);
      next = end;
    }
    use(by_file);
  });
}

std::string index_text(const StateFiles& files) {
  Json weight_map = Json::object();
  std::uint64_t total_size = 0;
  for (int rank = 0; rank < files.count(); ++rank) {
    for (const TensorSource& tensor : files.of(rank)) {
      weight_map[tensor.name] = files.name(rank);
      total_size += tensor.nbytes();
    }
  }
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
  return index.dump(2) + "\n";
}

NamedTensors read_state(const std::filesystem::path& folder, const std::string& stem) {
  NamedTensors tensors;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool is_one = name == stem + kExtension;
    const bool is_of_several = name.starts_with(stem + "-") && name.ends_with(kExtension);
    if (!is_one && !is_of_several) continue;
    const SafetensorsFile file(entry.path());
    for (const auto& [tensor, view] : file.tensors())
      tensors.emplace_back(tensor, tensor_from_view(view, file.mapping()));
  }
  return tensors;
}

}  // namespace ddro::run
