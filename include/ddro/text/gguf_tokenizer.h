// A model's tokenizer, chat template and end tokens as metadata of a GGUF file.
#pragma once

#include <cstdint>

#include "ddro/base/gguf_writer.h"
#include "ddro/text/model_text.h"

namespace ddro::text {

// The keys tokenizer.* for `text`, which was read from `files`. Ids without a token, up to `vocab_size`, are
// marked as unused. Error(kInput) for a tokenizer that they cannot say: other models than BPE over bytes and
// sentencepiece, other ways to cut text into words than those that have a name, added tokens that take white
// space with them.
void add_gguf_tokenizer(GgufWriter& writer, const gguf::ModelFiles& files, const ModelText& text,
                        std::int64_t vocab_size);

// Error(kInput) unless what is read from the file gives the same ids, template and end token as `text`.
void check_gguf_tokenizer(const GgufFile& file, const ModelText& text);

}  // namespace ddro::text
