#include "ddro/data/prompts.h"

#include <utility>

#include "data/data_files.h"
#include "data/row_reader.h"
#include "ddro/data/encode.h"

namespace ddro::data {

std::vector<Prompt> load_prompts(const std::vector<std::string>& files, const DataOptions& options,
                                 const TextSource& text) {
  std::vector<Prompt> prompts;
  Hasher ignored;
  for (const std::string& path : expand_patterns(files)) {
    const std::unique_ptr<RowReader> reader = open_rows(path, options.columns, ignored);
    for (RawRow row; reader->next(row);) {
      PreferenceRow parsed = parse_prompt(fields_of(row), row.where, row_format(options));
      std::vector<text::TokenId> ids = encode_prompt(parsed, text, options);
      prompts.push_back({row.where, std::move(parsed.prompt), std::move(ids)});
    }
  }
  if (prompts.empty()) throw input_error("[data] " + printable(files.front(), 400) + ": holds no prompts");
  return prompts;
}

}  // namespace ddro::data
