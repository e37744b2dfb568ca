// Calls visit(linear) for the products of a layer's part; specifications as they are, const or not.
#pragma once

#include "ddro/models/model_spec.h"

namespace ddro::models {

template <typename Spec, typename Visit>
void visit_attention(Spec& attention, const Visit& visit) {
  for (auto* linear :
       {&attention.query, &attention.key, &attention.value, &attention.fused, &attention.output})
    visit(*linear);
}

template <typename Spec, typename Visit>
void visit_feed_forward(Spec& part, const Visit& visit) {
  for (auto* linear : {&part.gate, &part.up, &part.fused, &part.down}) visit(*linear);
}

template <typename Spec, typename Visit>
void visit_experts(Spec& part, const Visit& visit) {
  visit(part.router);
  for (auto& expert : part.experts) visit_feed_forward(expert, visit);
  if (part.shared) visit_feed_forward(*part.shared, visit);
  visit(part.shared_gate);
}

// Of whichever a layer has.
template <typename Spec, typename Visit>
void visit_inner(Spec& layer, const Visit& visit) {
  visit_feed_forward(layer.feed_forward, visit);
  if (layer.experts) visit_experts(*layer.experts, visit);
}

}  // namespace ddro::models
