// Bases that stay packed: a GGUF file's matrices of blocks are kept as they are (ddro/ops/packed.h).
//
// make_causal_lm takes such tensors, too. On the CPU the frozen weights of products in the layers, and of an
// embedding with a head beside it, stay packed in the model; it unpacks the others, and all that is trained.
// On any device the same weights stay in a shorter type, where BuildOptions::keep_stored_dtype asks for it.
#pragma once

#include <set>
#include <string>

#include "ddro/models/causal_lm.h"
#include "ddro/models/model_folder.h"

namespace ddro::models {

// As open_model_folder and open_adapter_folder (ddro/models/model_folder.h), with the same hashes: what is
// packed counts as the float32 numbers that it stands for.
ModelFolder open_packed_folder(const std::filesystem::path& path);
ModelFolder open_packed_adapter_folder(const std::filesystem::path& adapter_path,
                                       const std::filesystem::path& base_path);

bool is_packed(const ModelFolder& folder);

// The weights that may stay as they are stored in a model of these options: frozen ones that are unpacked by
// what reads them. A tied embedding is the head, too, which has no such reader, and a store has parts of
// numbers.
std::set<std::string> names_of_packable(const ModelSpec& spec, const BuildOptions& options);

// Whether such a weight does.
bool stays_stored(const Tensor& weight, const BuildOptions& options);

// Bytes of the base's parameters in a model of these options.
double bytes_of_base(const ModelFolder& folder, const BuildOptions& options);

}  // namespace ddro::models
