#!/usr/bin/env python3
"""Frequencies of rotary embeddings with linear and YaRN scaling, in float64.

    pip install numpy==2.4.6
    rope.py > tests/golden/rope.tsv

Neither llama.cpp nor this project: written from Peng et al. 2023 and the authors' implementation that everyone follows
(github.com/jquesnelle/yarn, LlamaYaRNScaledRotaryEmbedding.py: the ramp goes over dimensions, between whole ones, where
the paper's goes over wavelengths; the two agree where there is no ramp). `exact.py` rotates by them, and chord-ops' `RopeParams::rotation` is tested against
the table that this prints.
"""
import math

import numpy as np


def linear(dims, base, factor):
    """Position interpolation (Chen et al. 2023): (frequencies, magnitude)."""
    return base ** (-np.arange(0, dims, 2) / dims) / factor, 1.0


def yarn(dims, base, factor, original, ext=1.0, attn=1.0, fast=32.0, slow=1.0):
    """YaRN: (frequencies, magnitude). `ext` mixes what is extrapolated, `attn` is a factor on the vectors."""

    def dimension(rotations):
        """The dimension whose pair turns so often within the original context."""
        return dims * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(dimension(fast)), 0)
    high = min(math.ceil(dimension(slow)), dims - 1)
    # Where every pair turns more often than `fast`, all are kept: the ramp is a step beyond the last one.
    if low >= high:
        high = low + 0.001
    ramp = np.clip((np.arange(dims // 2) - low) / (high - low), 0, 1)
    kept = (1 - ramp) * ext
    trained, _ = linear(dims, base, 1.0)
    mscale = 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0
    return trained / factor * (1 - kept) + trained * kept, mscale * attn


# dims, base, factor, then for YaRN: original context, ext, attn, fast, slow.
CASES = [
    (8, 1e4, 1.0),
    (64, 1e4, 4.0),
    (32, 1e6, 2.5),
    (6, 500.0, 0.5),
    (128, 1e6, 4.0, 32768, 1.0, 1.0, 32.0, 1.0),  # Qwen 2.5
    (64, 1e4, 40.0, 4096, 1.0, 1.0, 32.0, 1.0),  # DeepSeek 2
    (128, 1e4, 16.0, 4096, 1.0, 1.0, 32.0, 1.0),  # the paper's Llama 2 of 64k tokens
    (128, 1e4, 16.0, 4096, 0.5, 1.0, 32.0, 1.0),
    (128, 1e4, 16.0, 4096, 1.0, 0.8, 32.0, 1.0),
    (128, 1e4, 16.0, 4096, 0.25, 1.3, 16.0, 2.0),
    (32, 1e4, 4.0, 64, 1.0, 1.0, 32.0, 1.0),  # nothing turns 32 times: the ramp begins at 0
    (32, 20.0, 4.0, 100000, 1.0, 1.0, 32.0, 1.0),  # it would end beyond the last dimension
    (32, 1e4, 4.0, 900, 1.0, 1.0, 8.1, 8.0),  # one dimension wide
    (32, 1e6, 3.0, 48, 1.0, 1.2, 16.0, 2.0),
    (32, 1e4, 0.5, 512, 1.0, 1.5, 32.0, 1.0),  # squeezed, not stretched
]


def main():
    print("# dims base factor original ext attn fast slow | magnitude | frequencies; original 0: linear")
    for case in CASES:
        frequencies, magnitude = yarn(*case) if len(case) > 3 else linear(*case)
        case += (0, 0.0, 0.0, 0.0, 0.0) if len(case) == 3 else ()
        print(*map(repr, case), "|", repr(float(magnitude)), "|", *(repr(float(f)) for f in frequencies))


if __name__ == "__main__":
    main()
