// Llama 3's scaled rotary embedding, of which a GGUF file has the result alone.
#pragma once

#include <cstddef>
#include <vector>

#include "ddro/base/gguf_file.h"
#include "ddro/base/json.h"

namespace ddro::gguf {

// rope_scaling of config.json from the tensor rope_freqs.weight, where there is one: what each frequency is
// divided by. Error(kModel) for one that Llama 3.1 to 3.3's rule does not give.
void add_llama3_rotary(const GgufFile& file, Json& config);

// The numbers of that tensor.
std::vector<float> llama3_divisors(double theta, size_t num_frequencies, double factor);

}  // namespace ddro::gguf
