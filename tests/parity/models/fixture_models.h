// The models of tests/fixtures/make_models.py, and three ways to lay their sequences out.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/base/tensor_io.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/model_folder.h"
#include "fixture_names.h"
#include "support/fixtures.h"

namespace ddro::test {

inline std::filesystem::path model_fixture(const std::string& name) { return fixture("models/" + name); }

using Sequence = std::vector<std::int64_t>;

struct Expected {
  std::vector<Sequence> sequences;
  std::map<std::string, Tensor> values;
};

inline std::vector<Sequence> read_sequences(const std::filesystem::path& folder) {
  return read_json_file((folder / "expected.json").string(), ErrorKind::kInput)["sequences"];
}

inline Expected read_expected(const std::filesystem::path& folder) {
  Expected expected;
  expected.sequences = read_sequences(folder);
  const SafetensorsFile file(folder / "values.safetensors");
  for (const auto& [key, view] : file.tensors())
    expected.values[key] = tensor_from_view(view, file.mapping());
  return expected;
}

inline Expected read_expected(const std::string& name) {
  return read_expected(model_fixture(name + ".expected"));
}

// A packed batch, and where each sequence's tokens are in it.
struct Packed {
  Sequence ids, positions;
  std::vector<ops::AttentionSegment> segments;
  std::vector<Sequence> places;

  void add_segment(const Sequence& tokens, std::int64_t first_position, std::int64_t parent) {
    segments.push_back(
        {static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(tokens.size()), parent});
    for (size_t i = 0; i < tokens.size(); ++i) {
      ids.push_back(tokens[i]);
      positions.push_back(first_position + static_cast<std::int64_t>(i));
    }
  }

  void add_whole(const Sequence& tokens) {
    Sequence place;
    for (size_t i = 0; i < tokens.size(); ++i) place.push_back(static_cast<std::int64_t>(ids.size() + i));
    places.push_back(place);
    add_segment(tokens, 0, -1);
  }

  // Several sequences whose first `shared` tokens are the same.
  void add_sharing(const std::vector<Sequence>& sequences, std::int64_t shared) {
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto parent = static_cast<std::int64_t>(segments.size());
    add_segment(Sequence(sequences[0].begin(), sequences[0].begin() + shared), 0, -1);
    for (const Sequence& tokens : sequences) {
      Sequence place;
      for (std::int64_t i = 0; i < shared; ++i) place.push_back(begin + i);
      for (size_t i = static_cast<size_t>(shared); i < tokens.size(); ++i) {
        place.push_back(static_cast<std::int64_t>(ids.size() + i) - shared);
      }
      places.push_back(place);
      add_segment(Sequence(tokens.begin() + shared, tokens.end()), shared, parent);
    }
  }
};

// Logits of each sequence (differentiable), from one forward.
inline std::vector<Tensor> logits_of(const models::CausalLm& model, const Packed& packed,
                                     at::Device device = at::kCPU,
                                     const std::function<void(size_t unit)>& on_complete = nullptr) {
  const ops::AttentionLayout layout(packed.segments, device);
  Sequence asked;
  for (const Sequence& place : packed.places) asked.insert(asked.end(), place.begin(), place.end());
  models::ModelInput input;
  input.ids_T = at::tensor(packed.ids, at::kLong).to(device);
  input.positions_T = at::tensor(packed.positions, at::kLong).to(device);
  input.layout = &layout;
  input.output_positions_C = at::tensor(asked, at::kLong).to(device);
  input.on_complete = on_complete;
  const Tensor logits = models::logits(model, model.hidden(input));
  std::vector<Tensor> parts;
  std::int64_t begin = 0;
  for (const Sequence& place : packed.places) {
    parts.push_back(logits.narrow(0, begin, static_cast<std::int64_t>(place.size())));
    begin += static_cast<std::int64_t>(place.size());
  }
  return parts;
}

// sum(logits * probe) with the probe of make_models.py.
inline Tensor probe_loss(const Tensor& logits, std::int64_t sequence) {
  const Tensor t = at::arange(logits.size(0), logits.options()).unsqueeze(1);
  const Tensor v = at::arange(logits.size(1), logits.options()).unsqueeze(0);
  return (logits * at::cos(0.37 * t + 0.11 * v + sequence)).sum();
}

inline double relative_error(const Tensor& got, const Tensor& expected) {
  const Tensor reference = expected.to(at::kDouble);
  const double norm = reference.norm().item<double>();
  const double difference = (got.detach().to(at::kCPU, at::kDouble) - reference).norm().item<double>();
  return norm == 0 ? difference : difference / norm;
}

}  // namespace ddro::test
