// Byte pair encoding against its definition: merge the pair of lowest rank, the leftmost first, until none is
// left.
#include <gmock/gmock.h>

#include <map>

#include "ddro/base/random.h"
#include "text/bpe_model.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

struct RandomModel {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  json config;
};

// Over the letters a..d: `size` merges of tokens that exist, none twice.
RandomModel make_model(std::uint64_t seed, size_t size) {
  RandomModel model;
  std::vector<std::string> tokens = {"a", "b", "c", "d"};
  json merges = json::array();
  for (std::uint64_t i = 0; model.ranks.size() < size; ++i) {
    const auto pick = [&](std::uint64_t stream) {
      return tokens[random_bits(seed, stream, i) % tokens.size()];
    };
    const std::pair<std::string, std::string> pair = {pick(0), pick(1)};
    if (pair.first.size() + pair.second.size() > 9 || !model.ranks.emplace(pair, model.ranks.size()).second)
      continue;
    merges.push_back({pair.first, pair.second});
    if (std::find(tokens.begin(), tokens.end(), pair.first + pair.second) == tokens.end()) {
      tokens.push_back(pair.first + pair.second);
    }
  }
  model.config = {{"type", "BPE"}, {"merges", merges}, {"vocab", json::object()}};
  for (size_t i = 0; i < tokens.size(); ++i) model.config["vocab"][tokens[i]] = i;
  return model;
}

std::vector<std::string> merge_by_definition(const RandomModel& model, const std::string& word) {
  std::vector<std::string> symbols;
  for (const char c : word) symbols.emplace_back(1, c);
  while (true) {
    size_t best = symbols.size();
    size_t rank = model.ranks.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = model.ranks.find({symbols[i], symbols[i + 1]});
      if (found == model.ranks.end() || found->second >= rank) continue;
      best = i;
      rank = found->second;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

class BpeModelTest : public testing::TestWithParam<bool> {};

TEST_P(BpeModelTest, FollowsTheDefinition) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const RandomModel random = make_model(seed, 4 + 6 * seed);
    const BpeModel model(Component(random.config, "test"), GetParam());
    BpeWorkspace workspace;
    for (const size_t size : {1, 2, 7, 23, 24, 25, 31, 32, 33, 100, 400}) {
      for (std::uint64_t trial = 0; trial < 8; ++trial) {
        std::string word;
        for (size_t i = 0; i < size; ++i)
          word += "abcd"[random_bits(seed, 100 + size, trial * 1000 + i) % (2 + trial % 3)];
        for (int repeat = 0; repeat < 2; ++repeat) {  // the second time from the cache
          std::vector<WordToken> tokens;
          model.encode(word, false, workspace, tokens);
          std::vector<std::string> pieces;
          size_t end = 0;
          for (const WordToken& token : tokens) {
            ASSERT_EQ(token.begin, end);
            end = token.end;
            pieces.push_back(word.substr(token.begin, token.end - token.begin));
            ASSERT_EQ(model.vocabulary().at(pieces.back()), token.id);
          }
          ASSERT_EQ(pieces, merge_by_definition(random, word)) << word;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(WordsOf, BpeModelTest, testing::Bool(),
                         [](const auto& kind) { return std::string(kind.param ? "Bytes" : "Characters"); });

}  // namespace
}  // namespace ddro::text
