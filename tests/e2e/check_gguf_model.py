"""Compares GGUF files that were written with those that they were made from, as Python's gguf reads, unpacks and packs them.

usage: check_gguf_model.py (SOURCE.gguf WRITTEN.gguf TYPE)...

Matrices of WRITTEN have to be SOURCE's numbers packed as TYPE in every bit, vectors its float32 numbers; all that SOURCE's
metadata say of architecture and tokenizer has to be the same.
"""

import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType

FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7, "BF16": 32}


def fields_of(reader):
    return {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}


def compare_fields(source, written, kind):
    assert written["general.file_type"] == FILE_TYPES[kind], written["general.file_type"]
    assert written["general.type"] == "model"
    for key, value in source.items():
        if not key.startswith("general.") or key == "general.architecture":
            assert written[key] == value, (key, written[key], value)


def compare_tensors(source, written, kind):
    expected = {tensor.name: tensor for tensor in source.tensors}
    assert sorted(expected) == sorted(tensor.name for tensor in written.tensors)
    for tensor in written.tensors:
        numbers = gguf.dequantize(expected[tensor.name].data, expected[tensor.name].tensor_type)
        if numbers.ndim == 1:
            assert tensor.tensor_type == GGMLQuantizationType.F32, tensor.name
            np.testing.assert_allclose(tensor.data, numbers, rtol=1e-6, err_msg=tensor.name)
            continue
        assert tensor.tensor_type.name == kind, tensor.name
        packed = gguf.quantize(numbers, tensor.tensor_type)
        assert tensor.data.view(np.uint8).tobytes() == packed.view(np.uint8).tobytes(), tensor.name


def main():
    triples = iter(sys.argv[1:])
    for source_path, written_path, kind in zip(triples, triples, triples, strict=True):
        source, written = gguf.GGUFReader(source_path), gguf.GGUFReader(written_path)
        compare_fields(fields_of(source), fields_of(written), kind)
        compare_tensors(source, written, kind)
        print(f"{written_path}: {len(written.tensors)} tensors are those of {source_path} as {kind}")


if __name__ == "__main__":
    main()
