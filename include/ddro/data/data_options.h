// The `data` section of a run's configuration.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/enum_names.h"
#include "ddro/base/json.h"

namespace ddro::data {

enum class OnOverlength { kError, kDrop, kTruncate };
enum class OnBadRow { kError, kDrop };

// How rows are laid out; docs/data.md has their fields.
enum class Layout { kAuto, kPairs, kLabels, kUltrafeedback, kHh, kAlpaca, kQuestion, kSharegpt, kMessages };

struct TrainFiles {
  std::string pattern;  // a file or glob
  double weight = 1;    // share of their rows that an epoch draws; 2: each row twice

  bool operator==(const TrainFiles&) const = default;
};

struct DataOptions {
  std::vector<TrainFiles> train_files;            // their order is part of the run
  std::map<std::string, std::string> eval_files;  // name -> file or glob
  Layout layout = Layout::kAuto;                  // auto: that of each row is recognised
  std::map<std::string, std::string> columns;     // our name of a row's field -> its name in the files
  std::int64_t max_length = 1024;                 // tokens of prompt + completion
  OnOverlength on_overlength = OnOverlength::kError;
  OnBadRow on_bad_row = OnBadRow::kError;
  bool parse_control_tokens = false;           // control-token text inside a row becomes control tokens
  Json chat_template_kwargs = Json::object();  // variables of the template; a row's own come before them
  std::optional<std::string> chat_template;    // file with a Jinja template; null: the model folder's own
  std::optional<std::string> token_cache_dir;  // null: <train.output_dir>/token_cache
  // No key: of the loss. A conversation without a label is a preferred one.
  bool unlabelled_is_preferred = false;

  // Error(kInput) naming the dotted key.
  void validate() const;
};

}  // namespace ddro::data

namespace ddro {

template <>
struct EnumNames<data::OnOverlength> {
  using E = data::OnOverlength;
  static constexpr std::array<EnumName<E>, 3> kNames = {
      {{"error", E::kError}, {"drop", E::kDrop}, {"truncate", E::kTruncate}}};
};

template <>
struct EnumNames<data::OnBadRow> {
  using E = data::OnBadRow;
  static constexpr std::array<EnumName<E>, 2> kNames = {{{"error", E::kError}, {"drop", E::kDrop}}};
};

template <>
struct EnumNames<data::Layout> {
  using E = data::Layout;
  static constexpr std::array<EnumName<E>, 9> kNames = {{{"auto", E::kAuto},
                                                         {"pairs", E::kPairs},
                                                         {"labels", E::kLabels},
                                                         {"ultrafeedback", E::kUltrafeedback},
                                                         {"hh", E::kHh},
                                                         {"alpaca", E::kAlpaca},
                                                         {"question", E::kQuestion},
                                                         {"sharegpt", E::kSharegpt},
                                                         {"messages", E::kMessages}}};
};

}  // namespace ddro
