"""Compares a GGUF adapter, as Python's gguf reads it, with the PEFT folder that it was made from.

usage: check_gguf_adapter.py PEFT_FOLDER ADAPTER.gguf BASE.gguf

BASE.gguf is a model of the architecture llama. For each of its weights that the adapter is on, alpha / rank * B A has to be
the product that PEFT's loader has for the layer, its rows in the order of the file.
"""

import sys

import gguf
import numpy as np
from peft import PeftModel
from transformers import AutoModelForCausalLM

PARTS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}  # fmt: skip


def in_turns(weight, heads):
    """The halves of a head take turns."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def main():
    folder, adapter_file, base_file = sys.argv[1:]
    reader, base = gguf.GGUFReader(adapter_file), gguf.GGUFReader(base_file)
    fields = {key: field.contents() for key, field in reader.fields.items()}
    assert fields["general.type"] == "adapter" and fields["adapter.type"] == "lora", fields
    assert fields["general.architecture"] == base.fields["general.architecture"].contents() == "llama", fields
    path, name = base_file.rsplit("/", 1)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(path, gguf_file=name), folder)
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    layers = dict(model.base_model.model.named_modules())
    shapes = {tensor.name: tensor.shape.tolist() for tensor in base.tensors}
    factors = {tensor.name: tensor for tensor in reader.tensors}
    products = 0
    for name, a in factors.items():
        if not name.endswith(".lora_a"):
            continue
        weight = name.removesuffix(".lora_a")
        b = factors[weight + ".lora_b"]
        # As llama.cpp compares them, widths first.
        assert a.shape[0] == shapes[weight][0] and b.shape[1] == shapes[weight][1] and a.shape[1] == b.shape[0], name
        _, number, part, _ = weight.split(".")
        layer = layers[f"model.layers.{number}.{PARTS[part]}"]
        expected = layer.get_delta_weight("default").detach().numpy()
        if part in heads:
            expected = in_turns(expected, heads[part])
        got = fields["adapter.lora.alpha"] / a.shape[1] * (b.data.astype(np.float64) @ a.data)
        error = np.abs(got - expected).max() / np.abs(expected).max()
        assert error < 1e-5, (name, error)
        products += 1
    adapted = sum(hasattr(layer, "lora_A") for layer in layers.values())
    assert 0 < products == adapted == len(factors) // 2, (products, adapted, len(factors))
    print(f"{products} products are equal")


if __name__ == "__main__":
    main()
