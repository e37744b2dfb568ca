// Bits that flip on the disk between two starts.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>

#include "fault/outcome.h"

namespace ddro::test {

inline void flip_bit(const std::filesystem::path& path, std::mt19937& random) {
  std::string content = read_file(path);
  const size_t bit = random() % (8 * content.size());
  content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
  std::ofstream(path, std::ios::binary) << content;
}

// A run that was killed with steps 4, 6 and 8 saved, or (`with_checkpoints` false) before its first step with
// the reference's log-probabilities kept.
inline std::filesystem::path killed_run(const std::filesystem::path& folder, bool with_checkpoints) {
  std::filesystem::create_directories(folder);
  const TinyRun run(folder, short_run());
  const char* const place = with_checkpoints ? "checkpoint.after_rename:4" : "train.built:1";
  const int code = run.run({}, {std::string("DDRO_FAILPOINT=") + place});
  if (code != -SIGKILL) throw std::runtime_error("not killed: " + run.log_text());
  return run.output_dir();
}

// Starts a copy of a killed run with a flipped bit in `file`: it goes on from what is whole and says what is
// not, or is refused by one line that names the file. True where it went on.
inline bool expect_damage_found(const std::filesystem::path& killed, const std::filesystem::path& file,
                                std::mt19937& random) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), short_run());
  std::filesystem::copy(killed, run.output_dir(), std::filesystem::copy_options::recursive);
  flip_bit(run.output_dir() / file, random);
  const int code = run.run();
  const std::string log = run.log_text();
  EXPECT_THAT(log, ::testing::HasSubstr(file.filename().string())) << file;
  if (code == 0) expect_as_undisturbed(run, "a flipped bit in " + file.string());
  EXPECT_TRUE(code == 0 || code == 3) << file << ": " << code << "\n" << log;
  return code == 0;
}

inline std::vector<std::filesystem::path> files_below(const std::filesystem::path& root,
                                                      const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(root));
  }
  return files;
}

}  // namespace ddro::test
