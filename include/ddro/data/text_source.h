// What encoding a row needs of a model's text side: a seam, so that encoding is independent of how a template
// is run.
#pragma once

#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/data/data_options.h"
#include "ddro/text/model_text.h"

namespace ddro::data {

// Renders a message list; `kwargs` are the names that the row gives its template, an object or null.
// Error(kInput) when the template refuses these messages. Called from several threads.
using MessageRenderer =
    std::function<text::RenderedText(const Json& messages, bool add_generation_prompt, const Json& kwargs)>;

struct TextSource {
  const text::Tokenizer* tokenizer = nullptr;  // outlives the source
  std::vector<text::TokenId> end_ids;          // never empty; the first one ends a finished string
  MessageRenderer render;                      // empty: message lists cannot be used
  std::string template_name;                   // stands in messages
};

// A view of `text`, which must outlive it. `now` is what a template's date shows.
TextSource make_text_source(const text::ModelText& text, const DataOptions& options, std::time_t now);

}  // namespace ddro::data
