#!/usr/bin/env python3
"""Writes tests/golden/quant/errors.tsv: root mean square errors of ggml's quantisers on numbers that the tests make too.

    pip install gguf==0.19.0 numpy
    python3 tests/golden/quant_errors.py PATH/libggml-base.so

The numbers: sums of four uniform ones (SplitMix64, 20 bits each, seed 1), so nearly normal; each 64th eight times as large.
"""

import ctypes
import pathlib
import sys

import gguf
import numpy

COUNT, ROW = 256 * 96, 256
TYPES = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def numbers():
    mask, state = (1 << 64) - 1, 1
    x = numpy.zeros(COUNT, dtype=numpy.float32)
    for i in range(COUNT):
        total = 0
        for _ in range(4):
            state = (state + 0x9E3779B97F4A7C15) & mask
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            total += (z ^ (z >> 31)) >> 44
        x[i] = (total - (1 << 21)) / (1 << 20) * (8 if i % 64 == 63 else 1)
    return x


def main():
    ggml = ctypes.CDLL(sys.argv[1])
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                         ctypes.c_int64, ctypes.c_void_p]
    x = numbers()
    lines = []
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        out = numpy.zeros(COUNT // block * size, dtype=numpy.uint8)
        wrote = ggml.ggml_quantize_chunk(int(kind), x.ctypes.data, out.ctypes.data, 0, COUNT // ROW, ROW, None)
        assert wrote == out.nbytes, name
        y = gguf.quants.dequantize(out, kind).astype(numpy.float64).reshape(-1)
        lines.append(f"{name}\t{numpy.sqrt(numpy.mean((y - x) ** 2)):.9g}\n")
    (ROOT / "tests/golden/quant/errors.tsv").write_text("".join(lines))
    print("".join(lines), end="")


if __name__ == "__main__":
    main()
