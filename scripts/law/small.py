"""A small language model, made from nothing in minutes: a Llama of two layers whose tokens are words.

It learns the sentences of SmolLM2's answers in data/, without punctuation and capitals, as answers to the topic of
their question. A rare word is a blank to it, and sentences with many of them are left out. A token is what stands
between two spaces, so that the text of every sample encodes to the tokens that were sampled.
"""
import collections
import functools
import json
import re
import shutil

from law.program import ROOT, as_completion, as_prompt, read_lines, run_program, scratch_folder, write_lines

END, RARE = "</s>", "_"
VOCABULARY = 1000
TOPICS = 50
WORDS = range(3, 21)  # of a sentence,
BLANKS = 0.25  # the largest share of them that are rare
WIDTH, FEED_FORWARD, LAYERS, HEADS = 64, 192, 2, 4

TOPIC = re.compile(r"(?:about|[Ee]xplain|describe|note on|importance of|like) (.+?)"
                   r"(?: to a child| to a friend|, then answer it)?[.?]$")


@functools.cache
def sentences():
    """(topic, words), each once."""
    found = {}
    for path in sorted(ROOT.glob("data/brief_*.jsonl")) + sorted(ROOT.glob("data/reader_*.jsonl")):
        for row in read_lines(path):
            topic = TOPIC.search(row["prompt"][-1]["content"])
            for side in {"completion", "chosen", "rejected"} & row.keys() if topic else ():
                finished = row["finished" if side == "completion" else f"{side}_finished"]
                parts = re.split(r"(?<=[.!?])\s+", row[side][0]["content"].strip())
                for part in parts if finished else parts[:-1]:
                    words = tuple(re.findall(r"[a-z]+(?:'[a-z]+)?", part.lower().replace("’", "'")))
                    if len(words) in WORDS:
                        found[topic[1].lower(), words] = None
    return sorted(found)


@functools.cache
def topics():
    """The most frequent ones, the prompts of the experiment."""
    counts = collections.Counter(topic for topic, _ in sentences())
    return sorted(sorted(counts), key=counts.get, reverse=True)[:TOPICS]


def write_tokenizer(folder, words):
    vocabulary = {token: number for number, token in enumerate([END, RARE, *words])}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": RARE}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1), encoding="utf-8")
    template = "{% for message in messages %}{{ message['content'] + '" + END + "' }}{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "chat_template": template}, indent=1))
    return len(vocabulary)


def write_weights(folder, vocabulary):
    """Random ones: matrices keep the size of what goes through them."""
    import numpy as np
    from safetensors.numpy import save_file
    rng = np.random.default_rng(0)
    matrix = lambda rows, columns: (rng.normal(size=(rows, columns)) / columns**0.5).astype(np.float32)
    ones = lambda: np.ones(WIDTH, np.float32)
    tensors = {"model.embed_tokens.weight": matrix(vocabulary, WIDTH), "model.norm.weight": ones()}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        tensors |= {f"{name}self_attn.{part}_proj.weight": matrix(WIDTH, WIDTH) for part in "qkvo"}
        tensors |= {f"{name}mlp.{part}_proj.weight": matrix(FEED_FORWARD, WIDTH) for part in ("gate", "up")}
        tensors[f"{name}mlp.down_proj.weight"] = matrix(WIDTH, FEED_FORWARD)
        tensors |= {f"{name}{part}_layernorm.weight": ones() for part in ("input", "post_attention")}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary, "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "tie_word_embeddings": True, "eos_token_id": 0, "torch_dtype": "float32"}, indent=1))


def make(folder, epochs=8):
    """Whole or not at all. Every tenth sentence is held out and says when to stop."""
    counts = collections.Counter(word for _, words in sentences() for word in words)
    named = {word for topic in topics() for word in topic.split()}
    known = named | {word for word, _ in counts.most_common(VOCABULARY - len(named))}
    answers = [(topic, [word if word in known else RARE for word in words]) for topic, words in sentences()]
    rows = [{"prompt": as_prompt(topic), "completion": as_completion(" ".join(words)), "label": True}
            for topic, words in answers if words.count(RARE) <= BLANKS * len(words)]
    with scratch_folder() as scratch:
        (scratch / "start").mkdir()
        write_weights(scratch / "start", write_tokenizer(scratch / "start", sorted(known)))
        write_lines(scratch / "train.jsonl", [row for place, row in enumerate(rows) if place % 10])
        write_lines(scratch / "held_out.jsonl", rows[::10])
        (scratch / "run.yaml").write_text(json.dumps({
            "model": {"model_name_or_path": str(scratch / "start"), "dtype": "float32"},
            "data": {"train_files": [str(scratch / "train.jsonl")],
                     "eval_files": {"held_out": str(scratch / "held_out.jsonl")}, "max_length": 64},
            "objective": {"loss_type": "sft"},
            "train": {"output_dir": str(scratch / "run"), "train_batch_size": 64, "num_train_epochs": epochs},
            "optimizer": {"learning_rate": 3e-3, "weight_decay": 0.1, "adam_beta2": 0.95, "warmup_ratio": 0.05},
            "eval": {"eval_strategy": "epoch", "metric_for_best_model": "held_out_loss",
                     "early_stopping_patience": 2},
            "checkpoint": {"save_strategy": "epoch", "save_total_limit": 1},
            "logging": {"report_to": ["jsonl"]}}))
        run_program("train", scratch / "run.yaml")
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(scratch / "run/best", partial)
        partial.replace(folder)
