#include "ddro/config/run_config.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "config/fields.h"
#include "config/nearest_name.h"
#include "ddro/base/files.h"
#include "ddro/base/random.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::config {
namespace {

using data::TrainFiles;
using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// What no run can be without.
const std::string kTrainFiles = "data.train_files=[train.jsonl]";

RunConfig load_text(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const TemporaryFolder folder;
  std::vector<std::string> all = {kTrainFiles};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return load_run_config(folder.write("run.yaml", text).string(), all);
}

TEST(RunConfig, HasTheDefaultsOfTheStructs) {
  const RunConfig config = load_run_config("", {kTrainFiles});
  RunConfig expected;
  expected.data.train_files.push_back({"train.jsonl"});
  EXPECT_EQ(dump_run_config(config, false), dump_run_config(expected, false));
  EXPECT_FALSE(config.objective.alpha.has_value());
  EXPECT_TRUE(config.objective.explicitly_set.empty());
  EXPECT_THAT(config.logging.report_to, ElementsAre("jsonl", "tensorboard"));
}

TEST(RunConfig, ReadsEveryKindOfValue) {
  const TemporaryFolder folder;
  const auto path = folder.write("run.yaml", R"(
model: {model_name_or_path: models/x, dtype: bfloat16, gradient_checkpointing: true}
reference:
  model_name_or_path: null
data:
  train_files: [a.jsonl, {"b c.jsonl": 0.25, c.jsonl: 2}]
  columns: {prompt: question}
  chat_template_kwargs: {think: false, n: [1, -2.5, "3", x], none: null, deep: {a: b}}
  eval_files: {held_out: e.jsonl, "second": f.jsonl}
  on_overlength: truncate
objective:
  loss_type: dpo
  beta: 1
optimizer: {learning_rate: 1e-6, adam_epsilon: 1.0e-8, lr_scheduler_type: constant_with_warmup}
eval: {eval_strategy: epoch, prompts: p.jsonl, num_prompts: 3, num_samples: 4, max_new_tokens: 5, temperature: 0}
train: {max_steps: -1, seed: 0}
)");
  const RunConfig config = load_run_config(path.string(), {});
  EXPECT_EQ(config.model.dtype, models::ComputeDType::kBFloat16);
  EXPECT_TRUE(config.model.gradient_checkpointing);
  EXPECT_FALSE(config.reference.model_name_or_path.has_value());
  EXPECT_THAT(config.data.train_files,
              ElementsAre(TrainFiles{"a.jsonl", 1}, TrainFiles{"b c.jsonl", 0.25}, TrainFiles{"c.jsonl", 2}));
  EXPECT_EQ(config.data.columns.at("prompt"), "question");
  EXPECT_EQ(config.data.chat_template_kwargs.dump(),
            R"({"think":false,"n":[1,-2.5,"3","x"],"none":null,"deep":{"a":"b"}})");
  EXPECT_EQ(config.data.eval_files.at("second"), "f.jsonl");
  EXPECT_EQ(config.data.on_overlength, data::OnOverlength::kTruncate);
  EXPECT_EQ(config.objective.loss_type, losses::LossType::kSigmoid);
  EXPECT_EQ(config.objective.beta, 1.0);
  EXPECT_EQ(config.optimizer.learning_rate, 1e-6);
  EXPECT_EQ(config.optimizer.adam_epsilon, 1e-8);
  EXPECT_EQ(config.optimizer.lr_scheduler_type, train::Schedule::kConstantWithWarmup);
  EXPECT_EQ(config.eval.eval_strategy, IntervalStrategy::kEpoch);
  EXPECT_EQ(config.eval.prompts, "p.jsonl");
  EXPECT_EQ(config.eval.num_prompts, 3);
  EXPECT_EQ(config.eval.samples.num_samples, 4);
  EXPECT_EQ(config.eval.samples.max_new_tokens, 5);
  EXPECT_EQ(config.eval.samples.sampling.temperature, 0);
  EXPECT_EQ(config.train.seed, 0);
  EXPECT_THAT(config.objective.explicitly_set, ElementsAre("beta", "loss_type"));
}

TEST(RunConfig, OverridesWinOverTheFileAndTheLastOneWins) {
  const RunConfig config =
      load_text("train: {seed: 1}\n", {"train.seed=2", "train.seed=3", "objective.alpha=0.25",
                                       "data.train_files=[x.jsonl]", "train.output_dir=runs/a=b"});
  EXPECT_EQ(config.train.seed, 3);
  EXPECT_EQ(config.objective.alpha, 0.25);
  EXPECT_THAT(config.data.train_files, ElementsAre(TrainFiles{"x.jsonl", 1}));
  EXPECT_EQ(config.train.output_dir, "runs/a=b");
  EXPECT_THAT(config.objective.explicitly_set, ElementsAre("alpha"));
}

TEST(RunConfig, OverridesReachTheKeysOfAMapping) {
  const RunConfig config =
      load_text("reference: {fit: {num_train_epochs: 2.5, learning_rate: 1.0e-4}}\n",
                {"reference.fit.early_stopping_patience=1", "reference.fit={learning_rate: 3.0e-5}"});
  EXPECT_EQ(config.reference.fit, (models::ReferenceFit{2.5, 3e-5, 1}));
}

TEST(RunConfig, OverrideOfAlphaWithAutoUndoesTheFile) {
  EXPECT_FALSE(load_text("objective: {alpha: 0.3}\n", {"objective.alpha=auto"}).objective.alpha.has_value());
}

TEST(RunConfig, AcceptsEmptyFilesAndSections) {
  EXPECT_EQ(load_text("").train.seed, 42);
  EXPECT_EQ(load_text("train:\n").train.seed, 42);
}

TEST(Dump, NamesEveryKeyWithItsHelp) {
  const std::string text = dump_run_config(example_run_config(), true);
  for (const char* key :
       {"model_name_or_path: models/SmolLM2-135M-Instruct", "alpha: auto", "learning_rate: 1.0e-6",
        "report_to: [jsonl, tensorboard]", "precompute_ref_log_probs: true", "ref_cache_dir: null",
        "max_weight: auto", "backend: auto", "chat_template: null", "eval_files: {held_out: eval.jsonl}"}) {
    EXPECT_THAT(text, HasSubstr(key));
  }
  // An option that the loss does not have would be refused: it is shown, but not set.
  EXPECT_THAT(text, HasSubstr("  # beta: 0.1"));
  EXPECT_THAT(dump_run_config(example_run_config(), false), Not(HasSubstr("beta:")));
  const TemporaryFolder folder;
  EXPECT_EQ(dump_run_config(load_run_config(folder.write("run.yaml", text).string(), {}), true), text);
}

TEST(Dump, MatchesTheFileInConfigs) {
  const char* source = std::getenv("DDRO_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(read_file(std::string(source) + "/configs/default.yaml"),
            dump_run_config(example_run_config(), true));
}

// Sets each field to a random legal value.
class Randomiser {
 public:
  explicit Randomiser(std::uint64_t seed) : seed_(seed) {}

  template <typename Options, typename Body>
  void section(const char*, Options& options, Body body) {
    body(options, *this);
  }
  template <typename T>
  void operator()(const char* key, T& member, OnChange, const char*) {
    key_ = key;
    set(member);
  }

 private:
  std::uint64_t bits() { return random_bits(seed_, 0, counter_++); }
  double unit() { return random_unit(seed_, 0, counter_++); }

  void set(bool& out) { out = bits() % 2 == 0; }
  void set(std::int64_t& out) { out = static_cast<std::int64_t>(2 + bits() % 1'000'000'000); }
  void set(double& out) { out = unit() * std::pow(10.0, -static_cast<double>(bits() % 12)); }
  void set(std::optional<double>& out) {
    out.reset();
    if (bits() % 2 == 0) out = std::max(unit(), 1e-9);  // below 1 - 1e-9 but for one draw in 1e9
  }
  void set(std::string& out) {
    static const std::vector<std::string> kPieces = {
        "a",  "no",   "true", "null",   "~",      "1e-6",       "010", ": ", "#", "\"", "'", "\\", "\n",
        "\t", "\x7f", " ",    "\u00e9", "\u2028", "\U0001F600", "{",   "[",  "-", "*",  "&", "!"};
    out = kPieces[bits() % kPieces.size()];
    for (std::uint64_t n = bits() % 5; n > 0; --n) out += kPieces[bits() % kPieces.size()];
  }
  void set(std::optional<std::string>& out) {
    out.reset();
    if (bits() % 2 == 0) set(out.emplace());
  }
  void set(std::vector<double>&) {}  // one a loss
  void set(losses::LossTypes& out) {
    const auto names = losses::loss_names();
    out = losses::LossTypes(std::vector<losses::LossType>{});
    for (std::uint64_t n = 1 + bits() % 3; n > 0; --n) {
      const losses::LossType type = names[bits() % names.size()].second;
      if (std::find(out.all.begin(), out.all.end(), type) == out.all.end()) out.all.push_back(type);
    }
  }
  void set(std::vector<std::string>& out) {
    if (std::strcmp(key_, "report_to") == 0) return;
    for (std::uint64_t n = 1 + bits() % 3; n > 0; --n) set(out.emplace_back());
  }
  void set(std::vector<data::TrainFiles>& out) {
    for (std::uint64_t n = 1 + bits() % 3; n > 0; --n) {
      set(out.emplace_back().pattern);
      if (bits() % 2 == 0) out.back().weight = 1 + 3 * unit();
    }
  }
  void set(Json& out) {
    if (std::strcmp(key_, "lr_scheduler_kwargs") == 0) return;  // of the schedule
    const std::string text = text_();
    out = {{text, bits() % 2 == 0},
           {"list", {unit(), static_cast<std::int64_t>(bits() >> 1), text, nullptr}}};
  }
  std::string text_() {
    std::string text;
    set(text);
    return text;
  }
  void set(std::map<std::string, std::string>& out) {
    if (std::strcmp(key_, "columns") == 0) return;  // names that rows have
    for (std::uint64_t n = bits() % 4; n > 0; --n) {
      set(out["set_" + std::to_string(bits() % 100)]);
    }
  }
  void set(models::ReferenceFit& out) {  // of no epochs, since there may be a reference
    set(out.learning_rate);
    set(out.early_stopping_patience);
  }
  void set(models::TargetModules& out) {
    if (bits() % 2 == 0) set(out.names);
  }
  template <typename Enum>
  void set(std::optional<Enum>& out) {
    if (bits() % 2 == 0) set(out.emplace());
  }
  template <typename Enum>
  void set(Enum& out) {
    const auto& names = EnumNames<Enum>::kNames;
    out = names[bits() % names.size()].value;
  }

  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
  const char* key_ = "";
};

// Gives the options that the losses do not have, or that are of no new adapter, their defaults: they cannot
// be set. Visits a fresh configuration first.
struct Defaults {
  const RunConfig& config;
  std::map<std::string, std::any> values;
  bool restoring;
  bool in_objective = false;

  template <typename Options, typename Body>
  void section(const char*, Options& options, Body body) {
    using Plain = std::remove_const_t<Options>;
    in_objective = std::is_same_v<Plain, losses::ObjectiveOptions>;
    if constexpr (std::is_same_v<Plain, losses::ObjectiveOptions> ||
                  std::is_same_v<Plain, models::AdapterOptions>)
      body(options, *this);
  }
  bool is_read(const char* key) const {
    if (in_objective) return losses::uses_option(config.objective, key);
    const models::AdapterOptions& adapter = config.adapter;
    return std::string_view(key).starts_with("adapter_") ||
           (adapter.adapter_type && !adapter.adapter_name_or_path);
  }
  template <typename T>
  void operator()(const char* key, T& member, OnChange, const char*) {
    if constexpr (std::is_const_v<T>) {
      values[key] = member;
    } else if (restoring && !is_read(key)) {
      member = std::any_cast<T>(values.at(key));
    }
  }
};

// Compares every field of two configurations.
class Flattener {
 public:
  template <typename Options, typename Body>
  void section(const char*, Options& options, Body body) {
    body(options, *this);
  }
  template <typename T>
  void operator()(const char* key, const T& member, OnChange, const char*) {
    using ::testing::PrintToString;
    if constexpr (std::is_floating_point_v<T>) {
      text += std::string(key) + "=" + printable(member) + "\n";
    } else if constexpr (std::is_same_v<T, std::optional<double>>) {
      text += std::string(key) + "=" + (member ? printable(*member) : "auto") + "\n";
    } else if constexpr (std::is_same_v<T, std::vector<TrainFiles>>) {
      for (const auto& [pattern, weight] : member)
        text += std::string(key) + "=" + PrintToString(pattern) + " " + printable(weight) + "\n";
    } else if constexpr (std::is_same_v<T, losses::LossTypes>) {
      text += std::string(key) + "=" + losses::loss_name(member) + "\n";
    } else if constexpr (std::is_same_v<T, models::ReferenceFit>) {
      text += std::string(key) + "=" + printable(member.num_train_epochs) + " " +
              printable(member.learning_rate) + " " + std::to_string(member.early_stopping_patience) + "\n";
    } else if constexpr (std::is_same_v<T, models::TargetModules>) {
      text += std::string(key) + "=" + PrintToString(member.names) + "\n";
    } else if constexpr (std::is_same_v<T, std::optional<models::AdapterType>>) {
      text += std::string(key) + "=" + (member ? enum_name(*member) : "null") + "\n";
    } else if constexpr (std::is_enum_v<T>) {
      text += std::string(key) + "=" + std::to_string(static_cast<int>(member)) + "\n";
    } else {
      text += std::string(key) + "=" + PrintToString(member) + "\n";
    }
  }
  std::string text;
};

std::string flat(const RunConfig& config) {
  Flattener flattener;
  visit_fields(config, flattener);
  return flattener.text;
}

Json some_kwargs(train::Schedule schedule) {
  switch (schedule) {
    case train::Schedule::kPolynomial:
      return {{"lr_end", 0}, {"power", 1.5}};
    case train::Schedule::kCosineWithMinLr:
    case train::Schedule::kCosineWarmupWithMinLr:
      return {{"min_lr_rate", 0.25}};
    case train::Schedule::kWarmupStableDecay:
      return {{"num_decay_steps", 3}, {"decay_type", "1-sqrt"}};
    default:
      return Json::object();
  }
}

TEST(Dump, ReadsBackToTheSameConfiguration) {
  const TemporaryFolder folder;
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RunConfig config;
    Randomiser randomiser(seed);
    visit_fields(config, randomiser);
    losses::ObjectiveOptions& objective = config.objective;
    if (seed % 2 == 0) objective.loss_weights.assign(objective.loss_type.all.size(), 0.25);
    config.adapter.r = 1 + config.adapter.r % 1000;  // below the largest rank
    config.adapter.lora_alpha = 1 + config.adapter.lora_alpha % 1000;
    config.distributed.timeout_s = 10 + config.distributed.timeout_s % 1000;
    Defaults defaults{.config = config, .values = {}, .restoring = false};
    const RunConfig fresh;
    visit_fields(fresh, defaults);
    defaults.restoring = true;
    visit_fields(config, defaults);
    objective.label_smoothing /= 2;  // below 1/2
    if (config.eval.eval_strategy == IntervalStrategy::kNo) config.eval.prompts.reset();
    if (config.eval.eval_strategy == IntervalStrategy::kNo) config.eval.metric_for_best_model.reset();
    if (!config.eval.metric_for_best_model) config.eval.early_stopping_patience = 0;
    config.optimizer.lr_scheduler_kwargs = some_kwargs(config.optimizer.lr_scheduler_type);
    if (train::needs_whole_tensors(config.optimizer.optim))
      config.optimizer.moment_dtype = train::MomentDType::kFloat32;
    // Above alpha/(1 - alpha) for every alpha that is drawn.
    if (objective.max_weight && losses::uses_option(objective, "max_weight")) *objective.max_weight += 1e9;
    if (objective.stabilizer == losses::Stabilizer::kNnbd) {
      objective.class_reduction = losses::ClassReduction::kClassMean;
    }
    for (const bool with_help : {false, true}) {
      const std::string text = dump_run_config(config, with_help);
      const RunConfig back = load_run_config(folder.write("run.yaml", text).string(), {});
      ASSERT_EQ(flat(back), flat(config)) << text;
      ASSERT_EQ(dump_run_config(back, with_help), text);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 600);
}

TEST(LoadObjective, ReadsOneLossOrSeveral) {
  EXPECT_EQ(load_objective({"objective.loss_type=dpo_norm"}).loss_type, losses::LossType::kSigmoidNorm);
  const losses::ObjectiveOptions several =
      load_objective({"objective.loss_type=[dpo, bco_pair, sft]", "objective.loss_weights=[0.8, 0.2, 1]"});
  EXPECT_EQ(several.loss_type, (losses::LossTypes{losses::LossType::kSigmoid, losses::LossType::kBcoPair,
                                                  losses::LossType::kSft}));
  EXPECT_THAT(several.loss_weights, ElementsAre(0.8, 0.2, 1));
  EXPECT_EQ(
      describe_objective(several),
      "loss_type: [sigmoid, bco_pair, sft], loss_weights: [0.8, 0.2, 1], beta: 0.1, label_smoothing: 0, "
      "f_divergence_type: reverse_kl");
  EXPECT_FALSE(load_objective({"objective.max_weight=auto"}).max_weight.has_value());
  EXPECT_EQ(load_objective({"objective.max_weight=10"}).max_weight, 10);
}

TEST(LoadObjective, ReadsOverridesOfItsSectionOnly) {
  const losses::ObjectiveOptions options =
      load_objective({"objective.loss_type=rdro", "objective.alpha=0.39"});
  EXPECT_EQ(options.loss_type, losses::LossType::kRdro);
  EXPECT_EQ(options.alpha, 0.39);
  EXPECT_THAT(options.explicitly_set, ElementsAre("alpha", "loss_type"));
  EXPECT_THAT(message_of(ErrorKind::kInput, [] { load_objective({"train.seed=1"}); }),
              HasSubstr("[--set train.seed=1] only the section objective"));
  EXPECT_THAT(message_of(ErrorKind::kInput, [] { load_objective({"objective.alpha=2"}); }),
              HasSubstr("[--set objective.alpha=2 objective.alpha]"));
}

TEST(NearestName, IsTheOnlyOneOfSeveralWordsOfWhichItIsOne) {
  const std::vector<std::string> known = {"adapter_type", "lr_scheduler_type", "lr_scheduler_kwargs",
                                          "num_train_epochs"};
  EXPECT_EQ(only_name_with("epochs", known), "num_train_epochs");
  EXPECT_EQ(only_name_with("adapter", known), "adapter_type");
  EXPECT_EQ(only_name_with("scheduler", known), "") << "two have it";
  EXPECT_EQ(only_name_with("epoch", known), "");
}

TEST(NearestName, CountsASwapAsOneEdit) {
  const std::vector<std::string> known = {"learning_rate", "beta", "alpha"};
  EXPECT_EQ(nearest_name("learnign_rate", known), "learning_rate");
  EXPECT_EQ(nearest_name("bta", known), "beta");
  EXPECT_EQ(nearest_name("betaa", known), "beta");
  EXPECT_EQ(nearest_name("something_else", known), "");
  EXPECT_EQ(nearest_name(std::string(100'000, 'a'), known), "");
}

TEST(RunConfig, RefusesAFileThatCannotBeRead) {
  EXPECT_THAT(message_of(ErrorKind::kInput, [] { load_run_config("/nonexistent/run.yaml", {}); }),
              HasSubstr("/nonexistent/run.yaml"));
  EXPECT_THAT(message_of(ErrorKind::kInput, [] { load_text(std::string(2 << 20, '#')); }),
              HasSubstr("too large"));
}

}  // namespace
}  // namespace ddro::config
