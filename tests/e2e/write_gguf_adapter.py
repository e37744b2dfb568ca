"""Writes a PEFT folder's LoRA as a GGUF adapter by Python's gguf, as llama.cpp's convert_lora_to_gguf.py does.

usage: write_gguf_adapter.py PEFT_FOLDER OUT.gguf TYPE [--varied]

The base is a model of the architecture llama with four heads of queries and two of keys. TYPE: F32 or F16. --varied: the first
layer has no factors of its feed-forward, and in the last one every product is of half the rank.
"""

import json
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}  # fmt: skip
HEADS = {"attn_q": 4, "attn_k": 2}


def in_turns(rows, heads):
    """The halves of a head take turns."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def main():
    folder, out, kind = sys.argv[1:4]
    varied = "--varied" in sys.argv
    with open(folder + "/adapter_config.json", encoding="utf-8") as file:
        config = json.load(file)
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    writer.add_base_model_count(1)
    writer.add_base_model_repo_url(0, "https://huggingface.co/nobody/has-this")
    tensors = load_file(folder + "/adapter_model.safetensors")
    last = max(int(name.split(".")[4]) for name in tensors)
    for name, factor in sorted(tensors.items()):
        layer, *part, factor_name, _ = name.removeprefix("base_model.model.model.layers.").split(".")
        part, is_a = PARTS[".".join(part)], factor_name == "lora_A"
        if varied and layer == "0" and part.startswith("ffn"):
            continue
        if varied and layer == str(last):
            half = config["r"] // 2
            factor = factor[:half] if is_a else factor[:, :half]
        if not is_a and part in HEADS:
            factor = in_turns(factor, HEADS[part])
        factor = np.ascontiguousarray(factor, dtype={"F32": np.float32, "F16": np.float16}[kind])
        writer.add_tensor(f"blk.{layer}.{part}.weight.lora_{'a' if is_a else 'b'}", factor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
