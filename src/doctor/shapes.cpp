#include "doctor/shapes.h"

#include "ddro/base/error.h"
#include "ddro/models/model_config.h"

namespace ddro::doctor {
namespace {

struct Sizes {
  std::int64_t width, feed_forward, layers, heads, key_value_heads, vocabulary;
  bool tied;
};

Sizes sizes_of(Shape shape) {
  switch (shape) {
    case Shape::k135M:
      return {576, 1536, 30, 9, 3, 49152, true};
    case Shape::k1B:
      return {2048, 8192, 16, 32, 8, 128256, true};
    case Shape::k8B:
      return {4096, 14336, 32, 32, 8, 128256, false};
  }
  DDRO_CHECK(false, "a shape without sizes");
}

}  // namespace

models::ModelSpec spec_of(Shape shape) {
  const Sizes sizes = sizes_of(shape);
  return models::parse_model_config({{"model_type", "llama"},
                                     {"hidden_size", sizes.width},
                                     {"intermediate_size", sizes.feed_forward},
                                     {"num_hidden_layers", sizes.layers},
                                     {"num_attention_heads", sizes.heads},
                                     {"num_key_value_heads", sizes.key_value_heads},
                                     {"vocab_size", sizes.vocabulary},
                                     {"max_position_embeddings", 8192},
                                     {"tie_word_embeddings", sizes.tied}},
                                    enum_name(shape));
}

}  // namespace ddro::doctor
