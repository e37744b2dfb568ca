// Unicode normal forms with alignment, as Hugging Face's tokenizers compute them.
#pragma once

#include "text/aligned_text.h"

namespace ddro::text {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// `text` in a normal form. Characters newer than Unicode 9 have no decomposition and no combining class,
// because the tables of the Rust library behind the tokenizers are of that version: ids follow it.
void normalize(NormalForm form, AlignedText& text);

// Every character in lower case (full mapping, no context).
void lower_case(AlignedText& text);

}  // namespace ddro::text
