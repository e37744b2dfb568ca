// Small tokenizers on disk, for tests.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "ddro/text/tokenizer.h"
#include "support/temporary_folder.h"

namespace ddro::text {

using nlohmann::json;

using test::TemporaryFolder;

// Letters a..z, space, "." and the merges "a b", "ab c", each token with the next id; ids from 0 in this
// order.
inline json small_tokenizer() {
  json vocabulary = json::object();
  std::vector<std::string> tokens;
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  for (const char* token : {" ", ".", "ab", "abc"}) tokens.emplace_back(token);
  for (size_t i = 0; i < tokens.size(); ++i) vocabulary[tokens[i]] = i;
  return {{"version", "1.0"},
          {"added_tokens", json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", nullptr},
          {"post_processor", nullptr},
          {"decoder", {{"type", "Fuse"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "ab c"}}}}};
}

inline json added_token(const std::string& content, int id, json changes = json::object()) {
  json token = {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  token.update(changes);
  return token;
}

inline std::unique_ptr<Tokenizer> load_text(const std::string& text) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", text);
  return load_tokenizer(folder.path());
}

inline std::unique_ptr<Tokenizer> load(const json& tokenizer) { return load_text(tokenizer.dump()); }

}  // namespace ddro::text
