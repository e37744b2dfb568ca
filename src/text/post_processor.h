// The post-processor of a tokenizer.json: which ids it puts in front of a text and behind it.
#pragma once

#include <vector>

#include "text/component.h"

namespace ddro::text {

struct PostProcessor {
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;
};

// ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing, Sequence. Error(kModel) for anything
// else. What a post-processor does to offsets is not of interest here: ours name all bytes of a token.
PostProcessor read_post_processor(const Component& component);

}  // namespace ddro::text
