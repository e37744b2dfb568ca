#!/usr/bin/env python3
"""One DPO run with TRL, timed step by step; prints one JSON object. Called by against_trl.py."""
import argparse
import json
import resource
import sys
import tempfile
import time

START = time.time()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--batch-size", type=int, required=True, help="pairs an optimizer step")
    parser.add_argument("--micro-batch-size", type=int, required=True)
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--lora", type=int, default=0, help="rank of an adapter on every linear module; 0: none")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--cached", action="store_true", help="precompute_ref_log_probs")
    parser.add_argument("--option", action="append", default=[], help="name=value of DPOConfig, value as JSON")
    parser.add_argument("--attention", default="sdpa")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    cuda = torch.cuda.is_available()

    class StepTimes(TrainerCallback):
        """Wall time between the beginning of a step and its end, all its micro-batches included."""

        def __init__(self):
            self.seconds = []
            self.first_end = None

        def on_step_begin(self, *_, **__):
            if cuda:
                torch.cuda.synchronize()
            self.begin = time.time()

        def on_step_end(self, *_, **__):
            if cuda:
                torch.cuda.synchronize()
            self.seconds.append(time.time() - self.begin)
            self.first_end = self.first_end or time.time()

    dtype = getattr(torch, arguments.dtype)
    load = lambda: AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype,
                                                        attn_implementation=arguments.attention)
    options = {name: json.loads(value) for name, value in (text.split("=", 1) for text in arguments.option)}
    adapter = LoraConfig(r=arguments.lora, lora_alpha=2 * arguments.lora, target_modules="all-linear",
                         task_type="CAUSAL_LM") if arguments.lora else None
    times = StepTimes()
    with tempfile.TemporaryDirectory() as scratch:
        config = DPOConfig(output_dir=scratch, loss_type="sigmoid", beta=0.1, learning_rate=1e-6,
                           lr_scheduler_type="constant", num_train_epochs=1, seed=42,
                           per_device_train_batch_size=arguments.micro_batch_size,
                           gradient_accumulation_steps=arguments.batch_size // arguments.micro_batch_size,
                           max_length=arguments.max_length, max_prompt_length=None,
                           precompute_ref_log_probs=arguments.cached,
                           precompute_ref_batch_size=arguments.micro_batch_size, use_cpu=not cuda,
                           bf16=arguments.dtype == "bfloat16", gradient_checkpointing=False, save_strategy="no",
                           logging_steps=1, report_to="none", disable_tqdm=True, **options)
        trainer = DPOTrainer(model=load(), ref_model=None if adapter else load(), peft_config=adapter, args=config,
                             callbacks=[times],
                             train_dataset=load_dataset("json", data_files=arguments.data, split="train"),
                             processing_class=AutoTokenizer.from_pretrained(arguments.model))
        dataset = trainer.train_dataset
        tokens = sum(2 * len(row["prompt_input_ids"]) + len(row["chosen_input_ids"]) + len(row["rejected_input_ids"])
                     for row in dataset)
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step_seconds": times.seconds, "first_step_s": times.first_end - START,
                      "peak_memory_bytes": peak, "num_pairs": len(dataset),
                      "num_tokens": tokens, "losses": losses}))


if __name__ == "__main__":
    sys.exit(main())
