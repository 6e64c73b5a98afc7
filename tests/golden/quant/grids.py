"""Writes guest/quant/src/grid.rs: the codebooks of the IQ formats, from the Python package `gguf` 0.19.0.

From the root of the repository: python3 tests/golden/quant/grids.py && cargo fmt -p chord-quant
"""
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf import quants

assert version("gguf") == "0.19.0"
HEAD = '''//! Codebooks of the IQ formats: which 8 (or 4) magnitudes an index stands for.
//!
//! Each `u16` packs one entry: 8 levels of 2 bits, or 4 levels of 4 bits, the first element lowest. What a level means
//! is said by the format. Written by `tests/golden/quant/grids.py`; the numbers are those of ggml, as packed in its
//! Python package `gguf` 0.19.0: Copyright (c) 2023 Georgi Gerganov, MIT License
//! (<https://github.com/ggml-org/llama.cpp/blob/master/LICENSE>).
'''
out = [HEAD]
for name, kind in [("IQ1", "IQ1_S"), ("IQ2_XXS",) * 2, ("IQ2_XS",) * 2, ("IQ2_S",) * 2, ("IQ3_XXS",) * 2, ("IQ3_S",) * 2]:
    source = getattr(quants, kind)
    table = np.frombuffer(bytes.fromhex(source.grid_hex.decode()), "<u2")
    assert len(table) == source.grid_shape[0]
    note = " IQ1_S and IQ1_M" if name == "IQ1" else f" {name}"
    doc = f"/// {source.grid_shape[1]} elements each:{note}."
    rows = ", ".join(f"0x{v:04x}" for v in table)
    out.append(f"{doc}\npub(crate) static {name}: [u16; {len(table)}] = [{rows}];\n")
(Path(__file__).parent / "../../../guest/quant/src/grid.rs").write_text("\n".join(out))
