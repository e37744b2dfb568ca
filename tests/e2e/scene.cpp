#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "bad_input.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig =
    "model: {model_name_or_path: '@/model', dtype: float32}\n"
    "data:\n"
    "  train_files: ['@/train.jsonl']\n"
    "  eval_files: {held_out: '@/eval.jsonl'}\n"
    "  max_length: 128\n"
    "train: {output_dir: '@/run', train_batch_size: 8, max_steps: 2}\n";

void put(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace

Scene::Scene() {
  const fs::path source = fixture("tiny_run/model");
  fs::copy(source, path("model"));
  fs::copy_file(source.parent_path() / "pairs_train.jsonl", path("train.jsonl"));
  fs::copy_file(source.parent_path() / "pairs_eval.jsonl", path("eval.jsonl"));
  write("run.yaml", kConfig);
}

std::string Scene::at(std::string text) const {
  const std::string folder = folder_.path().string();
  for (size_t found = text.find('@'); found != std::string::npos;
       found = text.find('@', found + folder.size())) {
    text.replace(found, 1, folder);
  }
  return text;
}

Scene& Scene::write(const std::string& relative, const std::string& content) {
  put(path(relative), at(content));
  return *this;
}

Scene& Scene::append_config(const std::string& lines) {
  return write("run.yaml", read_file(path("run.yaml")) + lines);
}

Scene& Scene::remove(const std::string& relative) {
  fs::remove_all(path(relative));
  return *this;
}

Scene& Scene::change_bytes(const std::string& relative, const std::function<void(std::string&)>& change) {
  std::string content = read_file(path(relative));
  change(content);
  put(path(relative), content);
  return *this;
}

Scene& Scene::change_json(const std::string& relative, const std::function<void(Json&)>& change) {
  return change_bytes(relative, [&](std::string& content) {
    Json json = Json::parse(content);
    change(json);
    content = json.dump();
  });
}

Scene& Scene::change_header(const std::string& relative, const std::function<void(Json&)>& change) {
  return change_bytes(relative, [&](std::string& content) {
    std::uint64_t size = 0;
    std::memcpy(&size, content.data(), sizeof size);
    Json header = Json::parse(content.substr(sizeof size, size));
    change(header);
    const std::string text = header.dump();
    const std::uint64_t new_size = text.size();
    content = std::string(reinterpret_cast<const char*>(&new_size), sizeof new_size) + text +
              content.substr(sizeof size + size);
  });
}

Scene& Scene::add_row(const std::string& row) {
  return change_bytes("train.jsonl", [&](std::string& content) { content += row + "\n"; });
}

Scene& Scene::train_two_steps() {
  const ddro::test::ProgramResult result =
      ddro::test::ddro_train(train({"--set", "checkpoint.save_steps=1", "--set", "eval.eval_strategy=no"}));
  if (result.exit_code != 0) throw std::runtime_error("the run to be damaged failed: " + result.err);
  return change_json("run/run.json", [](Json& record) { record["finished_step"] = nullptr; });
}

Scene& Scene::reseal(const std::string& checkpoint, const std::function<void(Json&)>& change) {
  const fs::path folder = path(checkpoint);
  Json manifest = Json::parse(read_file(folder / "manifest.json"));
  for (auto& [name, entry] : manifest["files"].items()) {
    entry["bytes"] = fs::file_size(folder / name);
    entry["xxh3_128"] = hash_file(folder / name);
  }
  if (change) change(manifest);
  manifest.erase("xxh3_128");
  manifest["xxh3_128"] = hash_text(manifest.dump());
  put(folder / "manifest.json", manifest.dump(2) + "\n");
  return *this;
}

Arguments Scene::train(const Arguments& more) const {
  Arguments all = {"train", "@/run.yaml"};
  all.insert(all.end(), more.begin(), more.end());
  return command(std::move(all));
}

Arguments Scene::command(Arguments arguments) const {
  for (std::string& argument : arguments) argument = at(argument);
  return arguments;
}

std::vector<std::string> Scene::listing() const {
  std::vector<std::string> entries;
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    std::error_code ignored;  // links that lead nowhere
    // The lock names the last process that held it, by a number of some digits.
    const bool has_size = entry.is_regular_file(ignored) && entry.path().filename() != ".lock";
    entries.push_back(entry.path().string() + (has_size ? " " + std::to_string(entry.file_size()) : ""));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace ddro::test
