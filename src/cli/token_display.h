// Token ids as text that shows where each token and the completion begin.
#pragma once

#include <string>

#include "ddro/data/dataset.h"
#include "ddro/text/tokenizer.h"

namespace ddro::cli {

// Whether standard output is a terminal that wants colours (NO_COLOR unset, TERM not "dumb").
bool output_takes_colours();

// The tokens of a sequence in one line; control characters are escaped, so that no row can steer the
// terminal. In colours: the prompt dim, the completion's tokens in two colours by turns, control tokens
// reversed. Plain: "a|b|[<|im_end|>]|>>>|c", control tokens in brackets, the completion after ">>>".
std::string display_tokens(const text::Tokenizer& tokenizer, const data::EncodedSequence& sequence,
                           bool colours);

// The ids in one line, ">>>" before the completion's.
std::string display_ids(const data::EncodedSequence& sequence);

}  // namespace ddro::cli
