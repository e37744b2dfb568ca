#include "ddro/data/prompts.h"

#include <utility>

#include "data/data_files.h"
#include "ddro/data/encode.h"

namespace ddro::data {

std::vector<Prompt> load_prompts(const std::vector<std::string>& files, const DataOptions& options,
                                 const TextSource& text) {
  std::vector<Prompt> prompts;
  Hasher ignored;
  for (const std::string& path : expand_patterns(files)) {
    LineReader reader(path, ignored);
    for (Line line; reader.next(line);) {
      if (line.too_long) throw input_error("[data] " + line.where + ": " + too_long_reason());
      Content content = parse_prompt(line.text, line.where);
      std::vector<text::TokenId> ids = encode_prompt(content, line.where, text, options);
      prompts.push_back({line.where, std::move(content), std::move(ids)});
    }
  }
  if (prompts.empty()) throw input_error("[data] " + printable(files.front(), 400) + ": holds no prompts");
  return prompts;
}

}  // namespace ddro::data
