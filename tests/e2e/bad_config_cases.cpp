// Configurations that are refused: before anything is read from the model, and before anything is written.
#include "bad_input.h"

namespace ddro::test {
namespace {

// `lines` behind a configuration that works; its last line is the 6th.
BadInput appended(const char* name, const char* lines, const char* phrase) {
  return {name, 2, phrase, [lines](Scene& scene) { return scene.append_config(lines).train(); }};
}

BadInput whole(const char* name, const std::string& text, const char* phrase) {
  return {name, 2, phrase, [text](Scene& scene) { return scene.write("run.yaml", text).train(); }};
}

BadInput overridden(const char* name, const char* override, const char* phrase, int exit_code = 2) {
  return {name, exit_code, phrase, [override](Scene& scene) { return scene.train_with(override); }};
}

std::string alias_bomb() {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 8; ++k) text += (k > 0 ? ", " : "") + before;
    text += "]\n";
  }
  return text;
}

std::vector<BadInput> cases() {
  return {
      appended("UnknownKey", "eval: {eval_step: 5}\n",
               "run.yaml:7 eval.eval_step] unknown key; did you mean eval_steps?"),
      appended("UnknownSection", "optimiser: {learning_rate: 1.0e-6}\n",
               "run.yaml:7 optimiser] unknown key; did you mean optimizer?"),
      appended("DuplicateSection", "data: {max_length: 64}\n",
               "run.yaml:7] the key \"data\" occurs twice; first on line 2"),
      appended("DuplicateKey", "eval: {eval_steps: 5, eval_steps: 6}\n",
               "run.yaml:7] the key \"eval_steps\" occurs twice"),
      appended("NameFromTrl", "per_device_train_batch_size: 4\n", "write train.train_batch_size"),
      appended("RatesAtTopLevel", "learning_rate: 1.0e-6\n",
               "learning_rate belongs to the section optimizer"),
      appended("NameFromLlamaFactory", "lora_rank: 8\n", "write adapter.r"),
      appended("TextForNumber", "optimizer: {learning_rate: fast}\n",
               "run.yaml:7 optimizer.learning_rate] got the text \"fast\", expected a number"),
      appended("QuotedNumber", "eval: {eval_steps: '5'}\n",
               "eval.eval_steps] got the text \"5\", expected an integer"),
      appended("NotANumber", "optimizer: {learning_rate: .nan}\n", "optimizer.learning_rate] got"),
      appended("NumberTooLarge", "optimizer: {learning_rate: 1.0e999}\n",
               "expected a number that a double can hold"),
      appended("NegativeRate", "optimizer: {learning_rate: -1.0e-6}\n",
               "run.yaml:7 optimizer.learning_rate] is out of range; got -1e-6"),
      appended("MomentsOfAnotherKind", "optimizer: {moment_dtype: int4}\n",
               "run.yaml:7 optimizer.moment_dtype]"),
      {"ShortMomentsOfFloat64", 2,
       "[optimizer.moment_dtype] short moments are of float32 weights; model.dtype float64",
       [](Scene& scene) {
         return scene.append_config("optimizer: {moment_dtype: float8}\n").train_with("model.dtype=float64");
       }},
      appended("EightBitOptimizer", "optimizer: {optim: adamw_8bit}\n", "optimizer.moment_dtype: float8"),
      appended("BestByAMetricThatDoesNotExist", "eval: {metric_for_best_model: eval_accuracy}\n",
               "[eval.metric_for_best_model] no evaluation gives it; got eval_accuracy, expected one of "
               "eval_held_out_loss, eval_held_out_rewards/chosen"),
      appended("BestWithoutEvaluations", "eval: {metric_for_best_model: loss, eval_strategy: 'no'}\n",
               "run.yaml:7 eval.metric_for_best_model] compares evaluations"),
      appended("PatienceWithoutMetric", "eval: {early_stopping_patience: 3}\n",
               "run.yaml:7 eval.early_stopping_patience] counts evaluations by eval.metric_for_best_model"),
      appended("NegativePatience", "eval: {metric_for_best_model: loss, early_stopping_patience: -1}\n",
               "run.yaml:7 eval.early_stopping_patience] is out of range; got -1"),
      appended(
          "ScheduleLongerThanTheRun",
          "optimizer: {lr_scheduler_type: warmup_stable_decay, lr_scheduler_kwargs: {num_decay_steps: 2}}\n",
          "[optimizer.lr_scheduler_kwargs] warm-up, stable and decay steps are more than the run has; got 1 "
          "+ 0 + 2, "
          "expected at most 2"),
      appended("YesForTrue", "eval: {eval_on_start: yes}\n",
               "eval.eval_on_start] got the text \"yes\", expected true or false"),
      appended("MappingForScalar", "eval: {eval_steps: {steps: 5}}\n", "got a mapping, expected an integer"),
      appended("ListForSection", "eval: [1, 2]\n", "run.yaml:7 eval] got a list, expected a mapping"),
      appended("BetaOfAnotherLoss", "objective: {loss_type: ddro, beta: 0.1}\n",
               "run.yaml:7 objective.beta]"),
      appended("CapWithoutStabilizer", "objective: {stabilizer: none, max_weight: 5}\n",
               "objective.max_weight]"),
      appended("AlphaOfOne", "objective: {alpha: 1}\n", "objective.alpha]"),
      appended("LossNamedTwice", "objective: {loss_type: [dpo, sft, sigmoid]}\n",
               "run.yaml:7 objective.loss_type] names sigmoid twice"),
      appended("LossNotBuilt", "objective: {loss_type: aot}\n", "objective.loss_type] aot is not built yet"),
      appended("SinkNotBuilt", "logging: {report_to: [wandb]}\n",
               "logging.report_to] wandb is not built yet"),
      appended("OpenQuote", "eval: {eval_steps: \"5}\n", "not valid YAML"),
      appended("Tab", "eval:\n\teval_steps: 5\n", "not valid YAML"),
      appended("TwoDocuments", "---\neval: {eval_steps: 5}\n", "several documents"),
      appended("Tag", "eval: {eval_steps: !!python/object:os.system 5}\n",
               "run.yaml:7] tags are not supported"),
      appended("ControlCharacter", "eval: {eval_steps: 5}\n# \x1b[2Jwiped\n",
               "run.yaml:8] a control character; got \\x1B"),
      appended("Latin1", "# caf\xe9\n", "run.yaml:7] not valid UTF-8"),
      whole("AliasBomb", alias_bomb(), "run.yaml:1] anchors (&name) are not supported"),
      whole("DeepNesting", std::string(100000, '['), "nested deeper than 16 levels"),
      whole("OnlyAList", "- a\n- b\n", "run.yaml:1] got a list, expected sections"),
      whole("Empty", "", "[data.train_files] no files"),
      whole("TwoMegabytes", std::string(2 << 20, '#'), "run.yaml] is too large"),
      overridden("NegativeReplay", "train.replay_check_steps=-1",
                 "train.replay_check_steps] is out of range; got -1, expected an integer from 0"),
      appended("FitIsNoMapping", "reference: {fit: true}\n",
               "run.yaml:7 reference.fit] got true, expected a mapping of num_train_epochs, learning_rate"),
      appended("UnknownKeyOfFit", "reference: {fit: {epochs: 3}}\n",
               "run.yaml:7 reference.fit.epochs] unknown key; expected a mapping of num_train_epochs"),
      appended("FitWithoutARate", "reference: {fit: {num_train_epochs: 3, learning_rate: 0}}\n",
               "run.yaml:7 reference.fit] is out of range; got learning_rate 0, expected a number above 0"),
      appended("FitOfAnotherReference",
               "reference: {fit: {num_train_epochs: 3}, model_name_or_path: '@/model'}\n",
               "run.yaml:7 reference.fit] trains the policy's starting weights to be the reference"),
      appended("FitOfAnAdapter",
               "reference: {fit: {num_train_epochs: 3}}\nadapter: {adapter_name_or_path: '@/adapter'}\n",
               "[reference.fit] trains a model to be the reference; got @/adapter"),
      overridden("SetMemberOfFit", "reference.fit.num_train_epochs=many",
                 "reference.fit.num_train_epochs] got the text \"many\", expected a number"),
      overridden("SetSyntax", "eval.eval_steps",
                 "[--set eval.eval_steps] not an override; expected --set section.key=value"),
      overridden("SetUnknownKey", "eval.evalsteps=3",
                 "[--set eval.evalsteps=3 eval.evalsteps] unknown key; did you mean eval_steps?"),
      overridden("SetWrongType", "train.seed=1.5",
                 "[--set train.seed=1.5 train.seed] got the number 1.5, expected an integer"),
      overridden("SetTwoLines", "train.seed=1\nmodel: 2", "--set train.seed=1\\nmodel: 2"),
      overridden("BatchOfNone", "train.train_batch_size=0", "train.train_batch_size] is out of range; got 0"),
      overridden("BatchPast31Bits", "train.train_batch_size=9223372036854775807",
                 "train.train_batch_size] is out of range"),
      overridden("IntegerPast64Bits", "train.seed=99999999999999999999", "expected an integer of 64 bits"),
      overridden("RouterLossBelowZero", "model.router_aux_loss_coef=-1",
                 "model.router_aux_loss_coef] is out of range; got -1"),
      overridden("RouterLossOfADenseModel", "model.router_aux_loss_coef=0.1",
                 "[model.router_aux_loss_coef] llama has no experts to balance; expected auto"),
      overridden("NoSuchModel", "model.model_name_or_path=@/nowhere", "[@/nowhere] there is no such folder",
                 3),
      overridden("ModelNotInTheCache", "model.model_name_or_path=no-such-org/no-such-model",
                 "download it with: hf download", 3),
      overridden("ModelIsAFile", "model.model_name_or_path=@/run.yaml",
                 "[@/run.yaml] is a file; expected a Hugging Face model folder", 3),
      overridden("NoSuchData", "data.train_files=['@/nothing.jsonl']",
                 "[data] @/nothing.jsonl: no such file"),
      overridden("NoSuchEvalData", "data.eval_files={held_out: '@/nothing.jsonl'}",
                 "[data] @/nothing.jsonl: no such file"),
      overridden("NoSuchPrompts", "eval.prompts=@/nothing.jsonl", "[data] @/nothing.jsonl: no such file"),
      appended(
          "PromptsNeverSampled", "eval: {eval_strategy: no, prompts: p.jsonl}\n",
          "run.yaml:7 eval.prompts] are sampled at evaluations, of which eval.eval_strategy no has none"),
      overridden("DataIsAFolder", "data.train_files=['@/model']",
                 "[data] @/model: is a folder; name its files, such as @/model/*.jsonl"),
      overridden("EvalSetName", "data.eval_files={'a/b': '@/eval.jsonl'}",
                 "not the name of a set; got \"a/b\""),
      overridden("NoSuchTemplate", "data.chat_template=@/nothing.jinja",
                 "[@/nothing.jinja] cannot be opened"),
      {"NoSuchConfig", 2, "[@/nothing.yaml] cannot be opened: No such file",
       [](Scene& scene) {
         return scene.command({"train", "@/nothing.yaml"});
       }},
      {"ConfigIsAFolder", 2, "[@/model] is a folder; expected a file",
       [](Scene& scene) {
         return scene.command({"train", "@/model"});
       }},
      {"StepOfOneExample", 2,
       "[train.train_batch_size] kto scores completions under the prompts of other examples",
       [](Scene& scene) {
         return scene.append_config("objective: {loss_type: kto}\n").train_with("train.train_batch_size=1");
       }},
      {"PairsNeeded", 2, "[objective.loss_type] sigmoid needs pairs",
       [](Scene& scene) {
         return scene.write("train.jsonl", R"({"prompt": "Q", "completion": " A", "label": true})")
             .train_with("objective.loss_type=sigmoid");
       }},
  };
}

}  // namespace

DDRO_BAD_INPUTS(Config, cases());

}  // namespace ddro::test
