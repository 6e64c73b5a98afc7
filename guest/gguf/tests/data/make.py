"""Writes models.tsv: what the Python package `gguf` 0.19.0 says about the files in tests/data/models.

From the root of the repository: python3 guest/gguf/tests/data/make.py
Columns:
  F  file  alignment  data offset  keys  tensors
  K  key   type       elements     value (arrays: the first element; f32: its bits)
  T  name  type       dims         offset in the file  bytes
"""
import struct
from importlib.metadata import version
from pathlib import Path

from gguf import GGUFReader, GGUFValueType as V

assert version("gguf") == "0.19.0"
NAMES = {V.STRING: "string", V.BOOL: "bool", V.UINT32: "u32", V.INT32: "i32", V.FLOAT32: "f32"}
here = Path(__file__).parent
rows = []
for path in sorted((here / "../../../../tests/data/models").glob("*.gguf")):
    file = GGUFReader(path)
    fields = [f for f in file.fields.values() if not f.name.startswith("GGUF.")]
    rows.append(["F", path.name, file.alignment, file.data_offset, len(fields), len(file.tensors)])
    for f in fields:
        value, kind, count = f.contents(), NAMES[f.types[-1]], 1
        if f.types[0] == V.ARRAY:
            kind, count, value = f"array<{kind}>", len(value), value[0]
        if isinstance(value, float):
            value = struct.pack(">f", value).hex()
        value = str(value).lower() if isinstance(value, bool) else str(value)
        rows.append(["K", f.name, kind, count, value])
    for t in file.tensors:
        dims = ",".join(str(int(d)) for d in t.shape)
        rows.append(["T", t.name, t.tensor_type.name, dims, int(t.data_offset), int(t.n_bytes)])
(here / "models.tsv").write_text("".join("\t".join(map(str, r)) + "\n" for r in rows))
