// Llama 3's scaled rotary embedding, of which a GGUF file has the result alone.
#pragma once

#include "ddro/base/gguf_file.h"
#include "ddro/base/json.h"

namespace ddro::gguf {

// rope_scaling of config.json from the tensor rope_freqs.weight, where there is one: what each frequency is
// divided by. Error(kModel) for one that Llama 3.1 to 3.3's rule does not give.
void add_llama3_rotary(const GgufFile& file, Json& config);

}  // namespace ddro::gguf
