#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/data/reference_cache.h"

namespace ddro::cli {
namespace {

namespace fs = std::filesystem;

// The file itself, or the caches of a folder by name.
std::vector<fs::path> cache_files(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {path};
  std::vector<fs::path> files;
  for (auto entry = fs::directory_iterator(path, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    if (entry->path().extension() == data::kReferenceCacheExtension) files.push_back(entry->path());
  }
  if (files.empty()) {
    throw model_error("[" + printable(path.string(), 400) +
                      "] holds no cache of reference log-probabilities (*" + data::kReferenceCacheExtension +
                      ")");
  }
  std::sort(files.begin(), files.end());
  return files;
}

void print_cache(const data::ReferenceCache& cache) {
  print_line("cache    " + printable(cache.path().string(), 400));
  for (const auto& [name, value] : cache.key().items()) {
    print_line(printable(name) + ": " +
               printable(value.is_string() ? value.get<std::string>() : value.dump(), 1000));
  }
  print_line("records  " + std::to_string(cache.size()) + " valid, " + std::to_string(cache.num_damaged()) +
             " damaged, " + std::to_string(cache.num_torn_bytes()) + " bytes of a record cut short");
  print_line("bytes    " + std::to_string(cache.num_bytes()));
}

// Everything is read and checked before the first line is printed.
void run_inspect_cache(const std::string& path) {
  std::vector<data::ReferenceCache> caches;
  for (const fs::path& file : cache_files(path)) caches.emplace_back(file);
  for (const data::ReferenceCache& cache : caches) print_cache(cache);
}

}  // namespace

void add_inspect_cache_command(CLI::App& inspect) {
  CLI::App* command =
      inspect.add_subcommand("cache", "Check a cache of reference log-probabilities and show what it is of");
  auto path = std::make_shared<std::string>();
  command->add_option("PATH", *path, "a file *.logp, or a folder of them")->required();
  command->callback([path] { run_inspect_cache(*path); });
}

}  // namespace ddro::cli
