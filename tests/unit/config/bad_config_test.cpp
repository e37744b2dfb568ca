// Every refusal names where the mistake stands and what was meant.
#include <ctime>

#include "ddro/config/run_config.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::config {
namespace {

using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct BadConfig {
  const char* text;
  std::vector<const char*> expected;  // each occurs in the message
};

class BadConfigTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsRefusedByName) {
  const TemporaryFolder folder;
  const std::string path = folder.write("run.yaml", GetParam().text).string();
  const std::clock_t begin = std::clock();  // of this program, however busy the machine is
  const std::string message =
      message_of(ErrorKind::kInput, [&] { load_run_config(path, {"data.train_files=[train.jsonl]"}); });
  EXPECT_LT(std::clock() - begin, 1 * CLOCKS_PER_SEC);
  for (const char* part : GetParam().expected) EXPECT_THAT(message, HasSubstr(part));
}

INSTANTIATE_TEST_SUITE_P(
    UnknownKeys, BadConfigTest,
    ::testing::Values(
        BadConfig{"\noptimizer:\n  learnign_rate: 1e-6\n",
                  {"run.yaml:3 optimizer.learnign_rate]", "did you mean learning_rate?"}},
        BadConfig{"learning_rate: 1e-6\n", {"run.yaml:1 learning_rate]", "optimizer: {learning_rate: ...}"}},
        BadConfig{"loss_type: ddro\n", {"objective: {loss_type: ...}"}},
        BadConfig{"beta: 0.1\n", {"objective: {beta: ...}"}},
        BadConfig{"num_train_epochs: 1\n", {"train: {num_train_epochs: ...}"}},
        BadConfig{"warmup_steps: 5\n", {"optimizer: {warmup_steps: ...}"}},
        BadConfig{"output_dir: x\n", {"train: {output_dir: ...}"}},
        BadConfig{"model_name_or_path: x\n", {"model: {model_name_or_path: ...}"}},
        BadConfig{"per_device_train_batch_size: 4\n", {"train.train_batch_size", "train.micro_batch_tokens"}},
        BadConfig{"train: {gradient_accumulation_steps: 4}\n",
                  {"run.yaml:1 train.gradient_accumulation_steps]", "train.train_batch_size"}},
        BadConfig{"bf16: true\n", {"model.dtype"}},
        BadConfig{"model: {torch_dtype: bfloat16}\n", {"model.dtype"}},
        BadConfig{"lora_r: 16\n", {"write adapter.r"}},
        BadConfig{"use_peft: true\n", {"write adapter: {adapter_type: lora"}},
        BadConfig{"use_rslora: true\n", {"write adapter: {use_rslora: ...}"}},
        BadConfig{"load_in_4bit: true\n", {"not built yet"}},
        BadConfig{"max_prompt_length: 512\n", {"data.max_length"}},
        BadConfig{"cutoff_len: 512\n", {"data.max_length"}},
        BadConfig{"optim: lion\n", {"optim belongs to the section optimizer"}},
        BadConfig{"optimizer: {optim: adamw_8bit}\n", {"write adamw with optimizer.moment_dtype: float8"}},
        BadConfig{"optimizer: {optim: rmsprop}\n", {"run.yaml:1 optimizer.optim] rmsprop is not built yet"}},
        BadConfig{"optimizer: {optim: muon, adjust_lr_fn: rms}\n",
                  {"optimizer.adjust_lr_fn]", "expected one of original, match_rms_adamw"}},
        BadConfig{"optimizer: {optim: adam}\n",
                  {"expected one of adamw, sgd, lion, adafactor, muon", "did you mean adamw?"}},
        BadConfig{"optimizer: {optim: adafactor, moment_dtype: float8}\n",
                  {"optimizer.moment_dtype]",
                   "adafactor keeps its moments in the weights' type; got float8, expected float32"}},
        BadConfig{"optimizer: {momentum: 1}\n", {"optimizer.momentum]", "a number from 0 to below 1"}},
        BadConfig{"optimizer: {name: sgd}\n", {"optimizer.name]", "expected one of learning_rate"}},
        BadConfig{"reference: {precompute_ref_logps: true}\n", {"write reference.precompute_ref_log_probs"}},
        BadConfig{"reference: {sync_ref_model: true}\n", {"reference.sync_ref_model]", "not built yet"}},
        BadConfig{"dataset_name: x\n", {"data.train_files"}}, BadConfig{"rl: dpo\n", {"objective.loss_type"}},
        BadConfig{"pref_beta: 0.1\n", {"objective.beta"}}, BadConfig{"wandb_project: x\n", {"wandb sync"}},
        BadConfig{"generate_during_eval: true\n", {"write eval.prompts: FILE.jsonl"}},
        BadConfig{"eval: {eval_max_new_tokens: 9}\n", {"write eval.max_new_tokens"}},
        BadConfig{"num_generation_samples: 9\n", {"write eval.num_prompts"}},
        BadConfig{"resume_from_checkpoint: x\n", {"--resume"}},
        BadConfig{"optimizer.learning_rate: 1e-6\n", {"optimizer: {learning_rate: ...}"}},
        BadConfig{"objectve: {alpha: 0.5}\n", {"did you mean objective?"}},
        BadConfig{"zzz: 1\n", {"expected one of model, adapter, reference, data"}},
        BadConfig{"\"a\\nb\": 1\n", {"a\\nb]"}}));

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, BadConfigTest,
    ::testing::Values(
        BadConfig{"train: {seed: 1e3}\n",
                  {"run.yaml:1 train.seed]", "got the number 1e3, expected an integer"}},
        BadConfig{"train: {seed: 1.0}\n", {"expected an integer"}},
        BadConfig{"train: {seed: 010}\n", {"got the text \"010\", expected an integer"}},
        BadConfig{"train: {seed: 0x10}\n", {"expected an integer"}},
        BadConfig{"train: {seed: 1_000}\n", {"expected an integer"}},
        BadConfig{"train: {seed: \"1\"}\n", {"got the text \"1\", expected an integer"}},
        BadConfig{"train: {seed: 9223372036854775808}\n", {"an integer of 64 bits"}},
        BadConfig{"train: {seed: true}\n", {"got true, expected an integer"}},
        BadConfig{"train: {seed: }\n", {"got null, expected an integer"}},
        BadConfig{"train: {seed: [1]}\n", {"got a list, expected an integer"}},
        BadConfig{"optimizer: {learning_rate: fast}\n", {"got the text \"fast\", expected a number"}},
        BadConfig{"optimizer: {learning_rate: .inf}\n", {"expected a number"}},
        BadConfig{"optimizer: {learning_rate: .nan}\n", {"expected a number"}},
        BadConfig{"optimizer: {learning_rate: 1e400}\n", {"a number that a double can hold"}},
        BadConfig{"optimizer: {learning_rate: 1e}\n", {"expected a number"}},
        BadConfig{"optimizer: {learning_rate: '1e-6'}\n", {"got the text \"1e-6\", expected a number"}},
        BadConfig{"eval: {eval_on_start: yes}\n", {"got the text \"yes\", expected true or false"}},
        BadConfig{"eval: {eval_on_start: 1}\n", {"got the number 1, expected true or false"}},
        BadConfig{"eval: {eval_on_start: True}\n", {"expected true or false"}},
        BadConfig{"train: {output_dir: 010}\n", {"expected a text; put it in quotes"}},
        BadConfig{"train: {output_dir: 1e-6}\n", {"expected a text; put it in quotes"}},
        BadConfig{"train: {output_dir: true}\n", {"expected a text; put it in quotes"}},
        BadConfig{"train: {output_dir: null}\n", {"got null, expected a text"}},
        BadConfig{"train: {output_dir: \"a\\0b\"}\n", {"NUL"}},
        BadConfig{"data: {train_files: a.jsonl}\n", {"expected a list"}},
        BadConfig{"data: {train_files: {a: b}}\n", {"got a mapping, expected a list"}},
        BadConfig{"data: {train_files: [{a.jsonl: half}]}\n",
                  {"data.train_files.a.jsonl] got the text \"half\", expected a number"}},
        BadConfig{"data: {train_files: [[a.jsonl]]}\n", {"data.train_files] got a list, expected a text"}},
        BadConfig{"data: {columns: [a]}\n", {"data.columns] got a list, expected a mapping"}},
        BadConfig{"data: {columns: {topic: prompt}}\n", {"data.columns] no field of a row; got \"topic\""}},
        BadConfig{"data: {layout: sharegtp}\n", {"data.layout]", "did you mean sharegpt?"}},
        BadConfig{"data: {chat_template_kwargs: [a]}\n",
                  {"data.chat_template_kwargs] got a list, expected a mapping"}},
        BadConfig{"data: {train_files: [a], chat_template_kwargs: {messages: []}}\n",
                  {"data.chat_template_kwargs] \"messages\" comes from the row"}},
        BadConfig{"data: {eval_files: [a.jsonl]}\n", {"got a list, expected a mapping"}},
        BadConfig{"objective: {alpha: half}\n", {"expected a number or auto"}},
        BadConfig{"objective: {alpha: null}\n", {"got null, expected a number or auto"}},
        BadConfig{"objective: {loss_type: {sigmoid: 1}}\n", {"got a mapping, expected one of ddro"}},
        BadConfig{"objective: {loss_type: [sigmoid, sfft]}\n", {"did you mean sft?"}},
        BadConfig{"objective: {loss_type: []}\n", {"objective.loss_type]", "empty list"}},
        BadConfig{"objective: {loss_type: [sft, dpo, sigmoid]}\n", {"names sigmoid twice"}},
        BadConfig{"objective: {loss_type: [sft, dpo], loss_weights: [1]}\n",
                  {"objective.loss_weights] one a loss; got 1, expected 2"}},
        BadConfig{"objective: {loss_type: [sft, dpo], loss_weights: [1, x]}\n", {"expected a number"}},
        BadConfig{"objective: {loss_type: sft, loss_weights: [1]}\n",
                  {"objective.loss_weights]", "no such option"}},
        BadConfig{"objective: {loss_type: dddro}\n", {"did you mean ddro?"}},
        BadConfig{"objective: {stabilizer: off}\n", {"expected one of cap, ceiling, nnbd, none"}},
        BadConfig{"train: 5\n", {"run.yaml:1 train]", "got the number 5, expected a mapping"}},
        BadConfig{"model: gpt2\n", {"model: {model_name_or_path: ...}"}},
        BadConfig{"- a\n- b\n", {"got a list, expected sections"}},
        BadConfig{"just text\n", {"expected sections"}}));

INSTANTIATE_TEST_SUITE_P(
    NotBuilt, BadConfigTest,
    ::testing::Values(
        BadConfig{"objective: {loss_type: aot}\n", {"objective.loss_type]", "aot is not built yet"}},
        BadConfig{"objective: {loss_type: [dpo, aot_pair]}\n", {"aot_pair is not built yet"}},
        BadConfig{"logging: {report_to: wandb}\n", {"wandb is not built yet"}},
        BadConfig{"distributed: {backend: mpi}\n", {"mpi is not built yet"}},
        BadConfig{"distributed: {shard: gradients}\n", {"distributed.shard]", "gradients is not built yet"}},
        BadConfig{"zero_stage: 1\n", {"write distributed.shard"}},
        BadConfig{"tensor_parallel_degree: 2\n", {"is not built yet: every rank computes whole layers"}},
        BadConfig{"model: {dtype: float16}\n", {"float16 is not built yet"}}));

INSTANTIATE_TEST_SUITE_P(
    OutOfRange, BadConfigTest,
    ::testing::Values(
        BadConfig{"train:\n  seed: 1\n  train_batch_size: 0\n",
                  {"run.yaml:3 train.train_batch_size]", "got 0, expected an integer from 1"}},
        BadConfig{"train: {micro_batch_tokens: 3000000000}\n", {"train.micro_batch_tokens]", "2147483647"}},
        BadConfig{"train: {num_train_epochs: -1}\n", {"train.num_train_epochs]"}},
        BadConfig{"train: {max_steps: 0}\n", {"train.max_steps]"}},
        BadConfig{"train: {seed: -1}\n", {"train.seed]"}},
        BadConfig{"distributed: {timeout_s: 9}\n", {"distributed.timeout_s]", "an integer from 10"}},
        BadConfig{"ddp_timeout: 1800\n", {"write distributed.timeout_s"}},
        BadConfig{"eval: {prompts: ''}\n", {"run.yaml:1 eval.prompts]", "expected a file, or null"}},
        BadConfig{"eval: {num_prompts: 0}\n", {"run.yaml:1 eval.num_prompts]", "got 0"}},
        BadConfig{"eval: {num_samples: 0}\n", {"run.yaml:1 eval.num_samples]"}},
        BadConfig{"eval: {max_new_tokens: 0}\n", {"run.yaml:1 eval.max_new_tokens]"}},
        BadConfig{"eval: {temperature: -1}\n", {"run.yaml:1 eval.temperature]"}},
        BadConfig{"eval: {top_k: -1}\n", {"run.yaml:1 eval.top_k]"}},
        BadConfig{"eval: {top_p: 0}\n", {"run.yaml:1 eval.top_p]"}},
        BadConfig{"eval: {eval_strategy: no, prompts: p.jsonl}\n",
                  {"run.yaml:1 eval.prompts] are sampled at evaluations", "got p.jsonl, expected null"}},
        BadConfig{"train: {output_dir: \"\"}\n", {"train.output_dir]"}},
        BadConfig{"optimizer: {learning_rate: -1e-6}\n", {"optimizer.learning_rate]", "got -1e-6"}},
        BadConfig{"optimizer: {warmup_ratio: 1.5}\n", {"optimizer.warmup_ratio]"}},
        BadConfig{"optimizer: {warmup_steps: -1}\n", {"optimizer.warmup_steps]"}},
        BadConfig{"optimizer: {min_lr_ratio: 0.1}\n",
                  {"write optimizer.lr_scheduler_kwargs: {min_lr_rate: 0.1}"}},
        BadConfig{"optimizer: {lr_scheduler_kwargs: {num_cycle: 1}}\n",
                  {"run.yaml:1 optimizer.lr_scheduler_kwargs] cosine has no num_cycle; expected num_cycles"}},
        BadConfig{"optimizer: {lr_scheduler_kwargs: {num_cycles: 0}}\n",
                  {"num_cycles is out of range; got 0"}},
        BadConfig{"optimizer: {lr_scheduler_kwargs: {num_cycles: many}}\n",
                  {"got \"many\", expected a number"}},
        BadConfig{"optimizer: {lr_scheduler_kwargs: 1}\n", {"got the number 1, expected a mapping"}},
        BadConfig{"optimizer: {lr_scheduler_type: linear, lr_scheduler_kwargs: {power: 2}}\n",
                  {"linear has no power; expected none"}},
        BadConfig{
            "optimizer: {lr_scheduler_type: cosine_with_restarts, lr_scheduler_kwargs: {num_cycles: 1.5}}\n",
            {"got 1.5, expected an integer of at least 1"}},
        BadConfig{"optimizer: {lr_scheduler_type: cosine_with_min_lr}\n", {"needs one of min_lr", "got {}"}},
        BadConfig{"optimizer: {lr_scheduler_type: cosine_with_min_lr, lr_scheduler_kwargs: {min_lr: 0, "
                  "min_lr_rate: 0}}\n",
                  {"needs one of min_lr"}},
        BadConfig{"optimizer: {lr_scheduler_type: cosine_with_min_lr, lr_scheduler_kwargs: {min_lr: 1}}\n",
                  {"min_lr is above optimizer.learning_rate"}},
        BadConfig{"optimizer: {lr_scheduler_type: polynomial, learning_rate: 1.0e-8}\n",
                  {"ends at lr_end 1e-7, which is not below optimizer.learning_rate; got 1e-8"}},
        BadConfig{"optimizer: {lr_scheduler_type: warmup_stable_decay}\n", {"needs num_decay_steps"}},
        BadConfig{
            "optimizer: {lr_scheduler_type: warmup_stable_decay, lr_scheduler_kwargs: {decay_type: sqrt}}\n",
            {"decay_type is out of range; got \"sqrt\", expected linear, cosine or 1-sqrt"}},
        BadConfig{"optimizer: {lr_scheduler_type: reduce_lr_on_plateau}\n",
                  {"reduce_lr_on_plateau is not built yet"}},
        BadConfig{"optimizer: {weight_decay: -1}\n", {"optimizer.weight_decay]"}},
        BadConfig{"optimizer: {adam_beta1: 1}\n", {"optimizer.adam_beta1]"}},
        BadConfig{"optimizer: {adam_beta2: -0.5}\n", {"optimizer.adam_beta2]"}},
        BadConfig{"optimizer: {adam_epsilon: 0}\n", {"optimizer.adam_epsilon]"}},
        BadConfig{"optimizer: {max_grad_norm: -1}\n", {"optimizer.max_grad_norm]"}},
        BadConfig{"eval: {eval_steps: 0}\n", {"eval.eval_steps]"}},
        BadConfig{"logging: {logging_steps: 0}\n", {"logging.logging_steps]"}},
        BadConfig{"logging: {report_to: [csv]}\n",
                  {"logging.report_to]", "got csv, expected jsonl, tensorboard, prometheus or mlflow"}},
        BadConfig{"logging: {report_to: [tensorboard]}\n", {"leaves out jsonl"}},
        BadConfig{"logging: {report_to: [jsonl, jsonl]}\n", {"jsonl twice"}},
        BadConfig{"checkpoint: {save_steps: 0}\n", {"checkpoint.save_steps]"}},
        BadConfig{"checkpoint: {save_total_limit: 0}\n", {"checkpoint.save_total_limit]"}},
        BadConfig{"checkpoint: {save_before_timeout_s: -1}\n", {"checkpoint.save_before_timeout_s]"}},
        BadConfig{"data: {max_length: 0}\n", {"run.yaml:1 data.max_length]"}},
        BadConfig{"objective: {alpha: 1}\n", {"run.yaml:1 objective.alpha]"}},
        BadConfig{"reference: {ref_cache_dir: \"\"}\n", {"run.yaml:1 reference.ref_cache_dir]"}},
        BadConfig{"data: {train_files: [a], token_cache_dir: \"\"}\n", {"run.yaml:1 data.token_cache_dir]"}},
        BadConfig{"objective: {beta: 0.1}\n", {"run.yaml:1 objective.beta]"}}));

TEST(BadOverride, IsNamed) {
  const auto refusal = [](const std::string& text) {
    return message_of(ErrorKind::kInput, [&] {
      load_run_config("", {"data.train_files=[train.jsonl]", text});
    });
  };
  EXPECT_THAT(refusal("train.seed"), AllOf(HasSubstr("[--set train.seed]"), HasSubstr("section.key=value")));
  EXPECT_THAT(refusal("seed=3"), HasSubstr("section.key=value"));
  EXPECT_THAT(refusal("path=a.b"), HasSubstr("section.key=value"));
  EXPECT_THAT(refusal("train.sed=3"),
              AllOf(HasSubstr("[--set train.sed=3 train.sed]"), HasSubstr("did you mean seed?")));
  EXPECT_THAT(refusal("train.seed=x"),
              AllOf(HasSubstr("[--set train.seed=x train.seed]"), HasSubstr("expected an integer")));
  EXPECT_THAT(refusal("train.seed=-4"),
              AllOf(HasSubstr("[--set train.seed=-4 train.seed]"), HasSubstr("out of range")));
  EXPECT_THAT(refusal("train.seed=[1"),
              AllOf(HasSubstr("[--set train.seed=[1:"), HasSubstr("not valid YAML")));
  EXPECT_THAT(refusal("train.seed=\n2\n3"), HasSubstr("--set train.seed=\\n2\\n3"));
  EXPECT_THAT(refusal("optimizer.beta=1"), HasSubstr("objective: {beta: ...}"));
}

}  // namespace
}  // namespace ddro::config
