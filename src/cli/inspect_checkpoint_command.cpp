#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/safetensors.h"
#include "ddro/checkpoint/checkpoint.h"

namespace ddro::cli {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text.empty() ? "scalar" : text;
}

void print_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  for (const auto& [name, view] : file.tensors()) {
    print_line("  " + printable(name) + "  " + dtype_name(view.dtype) + "  " + shape_text(view.shape));
  }
}

// Everything is verified before the first line is printed.
void run_inspect_checkpoint(const std::string& path) {
  const checkpoint::Checkpoint opened = checkpoint::open_checkpoint(path);
  print_line("checkpoint  " + printable(opened.path.string(), 400));
  print_line("verified    every size and hash");
  for (const auto& [key, value] : opened.manifest.items()) {
    if (key != "files") print_line(printable(key) + ": " + printable(value.dump(), 400));
  }
  for (const auto& [name, entry] : opened.manifest.at("files").items()) {
    print_line(printable(name) + "  " + entry.at("bytes").dump() + " bytes  " +
               entry.at("xxh3_128").get<std::string>());
    if (name.ends_with(".safetensors")) print_tensors(opened.path / name);
  }
}

}  // namespace

void add_inspect_checkpoint_command(CLI::App& inspect) {
  CLI::App* command =
      inspect.add_subcommand("checkpoint", "Verify a checkpoint and show its manifest and tensors");
  auto path = std::make_shared<std::string>();
  command->add_option("PATH", *path, "a folder step_NNNNNN")->required();
  command->callback([path] { run_inspect_checkpoint(*path); });
}

}  // namespace ddro::cli
