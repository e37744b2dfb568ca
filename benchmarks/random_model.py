#!/usr/bin/env python3
"""A model folder of a well-known shape with random weights, for measuring speed and memory where no such model is.

    .venv/bin/python benchmarks/random_model.py SHAPE OUT_DIR      SHAPE: llama-1.2b, llama-8b, smollm2-135m, or tiny

Weights are bfloat16, normal with deviation 0.02. Tokenizer and chat template are SmolLM2's
(models/SmolLM2-135M-Instruct); their ids are part of the larger vocabulary. Needs torch and nothing else.
"""
import argparse
import ctypes
import json
import shutil
from pathlib import Path

import torch

from measure import ROOT

SHAPES = {  # hidden_size, intermediate_size, layers, heads, key/value heads, vocabulary, tied head
    "tiny": (64, 192, 2, 4, 2, 49152, True),
    "smollm2-135m": (576, 1536, 30, 9, 3, 49152, True),
    "llama-1.2b": (2048, 8192, 16, 32, 8, 128256, True),
    "llama-8b": (4096, 14336, 32, 32, 8, 128256, False),
}


def config_of(shape):
    width, feed_forward, layers, heads, kv_heads, vocabulary, tied = SHAPES[shape]
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": width,
            "intermediate_size": feed_forward, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "head_dim": width // heads, "vocab_size": vocabulary,
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
            "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16"}


def layer_tensors(config, layer, normal):
    width, feed_forward = config["hidden_size"], config["intermediate_size"]
    kv_width = config["num_key_value_heads"] * config["head_dim"]
    sizes = {"self_attn.q_proj": (width, width), "self_attn.k_proj": (kv_width, width),
             "self_attn.v_proj": (kv_width, width), "self_attn.o_proj": (width, width),
             "mlp.gate_proj": (feed_forward, width), "mlp.up_proj": (feed_forward, width),
             "mlp.down_proj": (width, feed_forward)}
    tensors = {f"model.layers.{layer}.{name}.weight": normal(*size) for name, size in sizes.items()}
    for name in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"model.layers.{layer}.{name}.weight"] = torch.ones(width, dtype=torch.bfloat16)
    return tensors


def write_safetensors(path, tensors):
    """bfloat16 tensors: the header's length, the header, the numbers."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write((ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    config = config_of(arguments.shape)
    generator = torch.Generator().manual_seed(0)

    def normal(*size):
        return torch.empty(size, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)

    def outer_tensors():
        tensors = {"model.embed_tokens.weight": normal(config["vocab_size"], config["hidden_size"]),
                   "model.norm.weight": torch.ones(config["hidden_size"], dtype=torch.bfloat16)}
        if not config["tie_word_embeddings"]:
            tensors["lm_head.weight"] = normal(config["vocab_size"], config["hidden_size"])
        return tensors

    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    places = {}
    for layer in range(-1, config["num_hidden_layers"]):
        shard = outer_tensors() if layer < 0 else layer_tensors(config, layer, normal)
        name = f"model-{layer + 1:05}.safetensors"
        write_safetensors(arguments.out_dir / name, shard)
        places |= dict.fromkeys(shard, name)
    (arguments.out_dir / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (arguments.out_dir / "config.json").write_text(json.dumps(config, indent=2))
    for source in (ROOT / "models/SmolLM2-135M-Instruct").iterdir():
        if source.name not in ("config.json", "model.safetensors"):
            shutil.copy(source, arguments.out_dir)


if __name__ == "__main__":
    main()
