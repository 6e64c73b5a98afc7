#!/usr/bin/env python3
"""Second opinion on the golden logits: the llama and qwen3 forward pass in float64, straight from its definition.

    pip install gguf==0.19.0 numpy==2.4.6
    exact.py --write tests/golden/demo-*.json tests/golden/tiny-*.json    write the *.exact.bin files, then as below
    exact.py tests/golden/demo-*.json tests/golden/tiny-*.json            print the NMSE of every logits file against this pass
    exact.py --perplexity tests/golden/perplexity.json

Weights are dequantised exactly and nothing else is rounded: no f16 cache, no quantised activations.
Run it from the root of the repository.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np

HERE = pathlib.Path(__file__).parent


class Model:
    """Hyperparameters and float64 weights of one GGUF file."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        field = lambda k, default=None: reader.fields[k].contents() if k in reader.fields else default
        self.arch = field("general.architecture")
        key = lambda k, default=None: field(f"{self.arch}.{k}", default)
        self.layers, self.d = key("block_count"), key("embedding_length")
        self.heads, self.kv = key("attention.head_count"), key("attention.head_count_kv")
        self.hd = key("attention.key_length", self.d // self.heads)
        self.eps, self.base = key("attention.layer_norm_rms_epsilon"), key("rope.freq_base")
        self.w = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.output = self.w.get("output.weight", self.w["token_embd.weight"])

    def logits(self, ids):
        """(n_tokens,) -> (n_tokens, n_vocab)"""
        x = self.w["token_embd.weight"][ids]
        for i in range(self.layers):
            w = lambda name: self.w[f"blk.{i}.{name}.weight"]
            x = x + self.attention(self.norm(x, w("attn_norm")), w, i)
            h = self.norm(x, w("ffn_norm"))
            gate = h @ w("ffn_gate").T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ w("ffn_up").T)) @ w("ffn_down").T
        return self.norm(x, self.w["output_norm.weight"]) @ self.output.T

    def norm(self, x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * weight

    def attention(self, h, w, layer):
        n = len(h)
        q = (h @ w("attn_q").T).reshape(n, self.heads, self.hd)
        k = (h @ w("attn_k").T).reshape(n, self.kv, self.hd)
        v = (h @ w("attn_v").T).reshape(n, self.kv, self.hd)
        if f"blk.{layer}.attn_q_norm.weight" in self.w:
            q, k = self.norm(q, w("attn_q_norm")), self.norm(k, w("attn_k_norm"))
        q, k = self.rope(q), self.rope(k)
        group = self.heads // self.kv
        k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(self.hd) + np.triu(np.full((n, n), -np.inf), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return np.einsum("hij,jhd->ihd", weights, v).reshape(n, -1) @ w("attn_output").T

    def rope(self, x):
        """Rotate (n, heads, hd): llama pairs neighbours, qwen3 pairs the two halves."""
        freq = self.base ** (-np.arange(0, self.hd, 2) / self.hd) / self.w.get("rope_freqs.weight", 1.0)
        angle = (np.arange(len(x))[:, None] * freq)[:, None]
        half = self.hd // 2
        a, b = (slice(0, half), slice(half, None)) if self.arch == "qwen3" else (slice(0, None, 2), slice(1, None, 2))
        out = np.empty_like(x)
        out[..., a] = x[..., a] * np.cos(angle) - x[..., b] * np.sin(angle)
        out[..., b] = x[..., a] * np.sin(angle) + x[..., b] * np.cos(angle)
        return out


def nmse(value, reference):
    return ((value - reference) ** 2).sum() / (reference**2).sum()


def golden(path, write):
    spec = json.loads(path.read_text())
    model = Model(spec["model"])
    for p in spec["prompts"]:
        exact = model.logits(p["ids"] + p["greedy"])[p["positions"]]
        if write:
            exact.astype("<f4").tofile(HERE / p["exact_file"])
        rows = {f: np.fromfile(HERE / p[f], "<f4").reshape(exact.shape) for f in ("logits_file", "exact_file")}
        found = ", ".join(f"{f} {nmse(r, exact):.1e}" for f, r in rows.items())
        print(f"{path.stem} {p['name']}: NMSE {found}")


def perplexity(path):
    """As llama-perplexity counts: each chunk starts with BOS, and only its second half is scored."""
    spec = json.loads(path.read_text())
    n, bos = spec["n_ctx"], spec["bos"]
    for m in spec["models"]:
        path = pathlib.Path(m["model"])
        if not path.exists():
            print(f"{path}: not in the repository, skipped")
            continue
        model, nll = Model(path), []
        for start in range(0, len(spec["ids"]) - n + 1, n):
            chunk = [bos] + spec["ids"][start + 1 : start + n]
            logits = model.logits(chunk)[n // 2 : n - 1]
            logits -= logits.max(-1, keepdims=True)
            logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            nll += [-logp[i, t] for i, t in enumerate(chunk[n // 2 + 1 :])]
        print(f"{path.name}: {np.exp(np.mean(nll)):.4f} over {len(nll)} tokens, llama.cpp {m['perplexity']}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("files", nargs="+", type=pathlib.Path)
    ap.add_argument("--write", action="store_true", help="rewrite the exact files")
    ap.add_argument("--perplexity", action="store_true", help="the files are perplexity records")
    a = ap.parse_args()
    for path in a.files:
        if a.perplexity:
            perplexity(path)
        else:
            golden(path, a.write)


if __name__ == "__main__":
    main()
