"""Writes the golden data of the tensor formats with the Python package `gguf` 0.19.0 and numpy 2.4.6.

    pip install gguf==0.19.0 numpy==2.4.6
    python3 tests/golden/quant/make.py

| file | what it is |
|---|---|
| `sizes.tsv` | `gguf.GGML_QUANT_SIZES`: name, number, elements per block, bytes per block |
| `<type>.bin` | blocks, then what `gguf.quants.dequantize` makes of them, little-endian f32 |
| `inputs.bin` | 4 096 little-endian f32 |
| `<type>.quantised.bin` | what `gguf.quants.quantize` makes of `inputs.bin` |

The package cannot read Q8_1, Q8_K, F64 and the integers: those come from numpy, by the layouts of ggml's block structs.
Random blocks come from a fixed seed; the first eight of each type are edges (see `edges`).
"""
import zlib
from importlib.metadata import version
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

assert (version("gguf"), np.__version__) == ("0.19.0", "2.4.6")
HERE = Path(__file__).parent
BLOCKS = 20
# Byte offsets of the f16 scales and minima in a block.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q8_1": [0, 2],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "Q8_K": [],
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ1_M": [],
    "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [],
}
PLAIN = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F64": "<f8"}


def set_scales(name, block, values):
    """Puts finite scales where the type has them."""
    for at, value in zip(SCALES[name], values):
        block[at:at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    if name == "Q8_K":
        block[:4] = np.frombuffer(np.float32(values[0]).tobytes(), np.uint8)
    if name == "IQ1_M":
        # Four high nibbles, low one first.
        bits = int(np.frombuffer(np.float16(values[0]).tobytes(), np.uint16)[0])
        for i in range(4):
            block[49 + 2 * i] = (block[49 + 2 * i] & 0x0F) | (((bits >> (4 * i)) & 15) << 4)


def edges(name, size, random):
    """Zeros; ones with scale 1; random with the largest, smallest, negative and zero scales; two patterns."""
    noise = lambda: random.integers(0, 256, size, dtype=np.uint8)
    for block, scales in [
        (np.zeros(size, np.uint8), (0, 0)),
        (np.full(size, 0xFF, np.uint8), (1, 1)),
        (noise(), (65504, 65504)),
        (noise(), (-65504, 65504)),
        (noise(), (2.0**-24, -(2.0**-24))),
        (noise(), (-0.0, 0)),
        (np.full(size, 0x55, np.uint8), (-1.5, -0.25)),
        (np.full(size, 0xAA, np.uint8), (0.1, -3)),
    ]:
        set_scales(name, block, scales)
        yield block


def blocks(name, size):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    out = list(edges(name, size, random))
    while len(out) < BLOCKS:
        block = random.integers(0, 256, size, dtype=np.uint8)
        set_scales(name, block, random.normal(0, 0.1, 2))
        out.append(block)
    return np.stack(out)


def plain_bytes(name):
    """1 024 elements: every exponent, both signs, infinities; no NaN."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name in ("F16", "BF16"):
        values = np.arange(0, 1 << 16, 63, dtype=np.uint16)[:1024]
        top, bits = (0x7C00, 0x7FFF) if name == "F16" else (0x7F80, 0x7FFF)
        values = np.where((values & bits) > top, values & 0x80FF, values).astype("<u2")
        values[:4] = [top, top | 0x8000, 1, 0x8000]
        return values.view(np.uint8)
    if name == "F32":
        return random.normal(0, 1, 1024).astype("<f4").view(np.uint8)
    if name == "F64":
        x = random.normal(0, 1, 1024) * 10.0 ** random.uniform(-45, 45, 1024)
        x[:4] = [np.inf, -np.inf, -0.0, 1 + 2**-24]
        return x.astype("<f8").view(np.uint8)
    kind = np.iinfo(PLAIN[name])
    x = random.integers(kind.min, kind.max, 1024, dtype=kind.dtype, endpoint=True) >> random.integers(0, kind.bits, 1024, dtype=kind.dtype)
    x[:4] = [kind.min, kind.max, 0, -1]
    return x.astype(PLAIN[name]).view(np.uint8)


def decode(name, data):
    if name in PLAIN:
        with np.errstate(over="ignore"):
            return data.reshape(-1).view(PLAIN[name]).astype("<f4")
    if name == "Q8_1":
        # d: f16, sum: f16, quants: 32 x i8
        return data[:, 0:2].copy().view("<f2").astype("<f4") * data[:, 4:].view(np.int8).astype("<f4")
    if name == "Q8_K":
        # d: f32, quants: 256 x i8, sums: 16 x i16
        return data[:, 0:4].copy().view("<f4") * data[:, 4:260].view(np.int8).astype("<f4")
    return gguf.quants.dequantize(data, T[name])


def inputs():
    random = np.random.default_rng(1)
    x = random.normal(0, 1, (16, 256)).astype("<f4")
    x[0] = 0
    x[1] = 2.5
    x[2] = -0.75
    x[3] = np.arange(-128, 128)
    # Q8_0 has d = 1 here: ties, and the numbers next to them.
    x[4] = (np.arange(256) % 120) / 2 - 30
    x[4, ::32] = 127
    x[4, 1::32] = np.nextafter(np.float32(0.5), np.float32(0))
    x[4, 2::32] = -np.nextafter(np.float32(0.5), np.float32(0))
    x[5] *= 1e-3
    x[6] *= 1e4
    x[7] = np.abs(x[7])
    x[8] = -np.abs(x[8])
    x[9] = 0
    x[9, ::32] = 1
    x[10] = 0
    x[10, 31::32] = -3
    return x


(HERE / "sizes.tsv").write_text(
    "".join(f"{t.name}\t{int(t)}\t{n}\t{b}\n" for t, (n, b) in sorted(gguf.GGML_QUANT_SIZES.items()))
)
for name in [*SCALES, *PLAIN, "F32", "F16", "BF16"]:
    data = blocks(name, gguf.GGML_QUANT_SIZES[T[name]][1]) if name in SCALES and name != "Q8_1" else None
    if name == "Q8_1":
        data = blocks(name, 36)
    if data is None:
        data = plain_bytes(name)
    with np.errstate(over="ignore", invalid="ignore"):
        values = decode(name, data).astype("<f4")
    assert not np.isnan(values).any(), name
    (HERE / f"{name}.bin").write_bytes(data.tobytes() + values.tobytes())
x = inputs()
(HERE / "inputs.bin").write_bytes(x.tobytes())
for name in ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "TQ1_0", "TQ2_0", "MXFP4"]:
    (HERE / f"{name}.quantised.bin").write_bytes(gguf.quants.quantize(x, T[name]).tobytes())
