#!/usr/bin/env python3
"""Second opinion on the golden logits: each family's forward pass in float64, straight from its definition.

    pip install gguf==0.19.0 numpy==2.4.6
    exact.py --write tests/golden/demo-*.json tests/golden/tiny-*.json    write the *.exact.bin files, then as below
    exact.py tests/golden/demo-*.json tests/golden/tiny-*.json            print the NMSE of every logits file against this pass
    exact.py --perplexity tests/golden/perplexity.json
    exact.py --derive FILE tests/golden/tiny-llama-yarn-f32.json         write the model that the record means, for llama.cpp

Weights are dequantised exactly and nothing else is rounded: no f16 cache, no quantised activations.
Run it from the root of the repository.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
import rope

HERE = pathlib.Path(__file__).parent


class Model:
    """Hyperparameters and float64 weights of one GGUF file; `metadata` stands in for keys of the file."""

    def __init__(self, path, metadata={}):
        reader = gguf.GGUFReader(path)
        given = {k: f.contents() for k, f in reader.fields.items() if k in metadata or not k.startswith("tokenizer.")}
        field = lambda k, default=None: (given | metadata).get(k, default)
        self.arch = field("general.architecture")
        key = lambda k, default=None: field(f"{self.arch}.{k}", default)
        self.layers, self.d = key("block_count"), key("embedding_length")
        self.heads, self.kv = key("attention.head_count"), key("attention.head_count_kv")
        self.hd = key("attention.key_length", self.d // self.heads)
        self.eps, self.base = key("attention.layer_norm_rms_epsilon"), key("rope.freq_base")
        self.used = key("expert_used_count")
        self.gemma = self.arch.startswith("gemma")
        self.halves = self.arch != "llama"
        self.caps = (key("attn_logit_softcapping"), key("final_logit_softcapping"))
        self.stretch = key("rope.scaling.factor", 1.0)
        self.magnitude = key("rope.scaling.attn_factor", 1.0)
        self.yarn = key("rope.scaling.type") == "yarn"
        self.original = key("rope.scaling.original_context_length", key("context_length"))
        window, pattern = key("attention.sliding_window"), key("attention.sliding_window_pattern", 2)
        windowed = lambda i: self.gemma and i % pattern < pattern - 1
        self.windows = [window if windowed(i) else None for i in range(self.layers)]
        swa = key("rope.freq_base_swa")
        self.bases = [(swa, 1.0) if swa and windowed(i) else (self.base, self.stretch) for i in range(self.layers)]
        self.w = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.output = self.w.get("output.weight", self.w["token_embd.weight"])

    def logits(self, ids):
        """(n_tokens,) -> (n_tokens, n_vocab)"""
        x = self.w["token_embd.weight"][ids] * (np.sqrt(self.d) if self.gemma else 1.0)
        for i in range(self.layers):
            w = lambda name: self.w[f"blk.{i}.{name}.weight"]
            post = lambda y, name: self.norm(y, w(name)) if f"blk.{i}.{name}.weight" in self.w else y
            x = x + post(self.attention(self.norm(x, w("attn_norm")), w, i), "post_attention_norm")
            x = x + post(self.feed_forward(self.norm(x, w("ffn_norm")), w, i), "post_ffw_norm")
        logits = self.norm(x, self.w["output_norm.weight"]) @ self.output.T
        return self.cap(logits, self.caps[1])

    def cap(self, x, cap):
        return cap * np.tanh(x / cap) if cap else x

    def experts(self, h, w):
        """Each token's own experts, weighted by the softmax over the chosen ones."""
        logits, out = h @ w("ffn_gate_inp").T, np.zeros_like(h)
        for t, row in enumerate(logits):
            chosen = np.argsort(-row, kind="stable")[: self.used]
            shares = np.exp(row[chosen] - row[chosen].max())
            for expert, share in zip(chosen, shares / shares.sum()):
                gate, up = w("ffn_gate_exps")[expert] @ h[t], w("ffn_up_exps")[expert] @ h[t]
                out[t] += share * (w("ffn_down_exps")[expert] @ (gate / (1 + np.exp(-gate)) * up))
        return out

    def feed_forward(self, h, w, layer):
        if f"blk.{layer}.ffn_gate_inp.weight" in self.w:
            return self.experts(h, w)
        up = h @ w("ffn_up").T
        if f"blk.{layer}.ffn_gate.weight" in self.w:
            gate = h @ w("ffn_gate").T
        else:
            gate, up = np.split(up, 2, -1)
        if self.gemma:
            act = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
        else:
            act = gate / (1 + np.exp(-gate))
        return (act * up) @ w("ffn_down").T

    def norm(self, x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * weight

    def attention(self, h, w, layer):
        n = len(h)
        bias = lambda name: self.w.get(f"blk.{layer}.{name}.bias", 0.0)
        if f"blk.{layer}.attn_qkv.weight" in self.w:
            sizes = np.cumsum([self.heads * self.hd, self.kv * self.hd])
            q, k, v = np.split(h @ w("attn_qkv").T, sizes, -1)
        else:
            q, k, v = (h @ w(m).T + bias(m) for m in ("attn_q", "attn_k", "attn_v"))
        q, k, v = (m.reshape(n, -1, self.hd) for m in (q, k, v))
        if f"blk.{layer}.attn_q_norm.weight" in self.w:
            q, k = self.norm(q, w("attn_q_norm")), self.norm(k, w("attn_k_norm"))
        q, k = self.rope(q, layer), self.rope(k, layer)
        group = self.heads // self.kv
        k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
        scores = self.cap(np.einsum("ihd,jhd->hij", q, k) / np.sqrt(self.hd), self.caps[0])
        distance = np.arange(n)[:, None] - np.arange(n)
        unseen = (distance < 0) | (distance >= (self.windows[layer] or n))
        scores = np.where(unseen, -np.inf, scores)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return np.einsum("hij,jhd->ihd", weights, v).reshape(n, -1) @ w("attn_output").T

    def rope(self, x, layer):
        """Rotate (n, heads, hd): llama pairs neighbours, the others pair the two halves."""
        base, stretch = self.bases[layer]
        # The golden files' contexts are long ones.
        factors = self.w.get("rope_freqs.weight", self.w.get("rope_factors_long.weight", 1.0))
        if self.yarn:
            freq, magnitude = rope.yarn(self.hd, base, stretch, self.original, attn=self.magnitude)
        else:
            freq, magnitude = rope.linear(self.hd, base, stretch)[0], self.magnitude
        angle = (np.arange(len(x))[:, None] * freq / factors)[:, None]
        half = self.hd // 2
        a, b = (slice(0, half), slice(half, None)) if self.halves else (slice(0, None, 2), slice(1, None, 2))
        out = np.empty_like(x)
        out[..., a] = x[..., a] * np.cos(angle) - x[..., b] * np.sin(angle)
        out[..., b] = x[..., a] * np.sin(angle) + x[..., b] * np.cos(angle)
        return out * magnitude


def nmse(value, reference):
    return ((value - reference) ** 2).sum() / (reference**2).sum()


def golden(path, write):
    spec = json.loads(path.read_text())
    model = Model(spec["model"], spec.get("metadata", {}))
    for p in spec["prompts"]:
        exact = model.logits(p["ids"] + p["greedy"])[p["positions"]]
        if write:
            exact.astype("<f4").tofile(HERE / p["exact_file"])
        rows = {f: np.fromfile(HERE / p[f], "<f4").reshape(exact.shape) for f in ("logits_file", "exact_file")}
        found = ", ".join(f"{f} {nmse(r, exact):.1e}" for f, r in rows.items())
        print(f"{path.stem} {p['name']}: NMSE {found}")


def derive(path, out):
    """The model of a record, with the record's metadata in the file."""
    spec = json.loads(path.read_text())
    reader, metadata = gguf.GGUFReader(spec["model"]), spec.get("metadata", {})
    w = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture" and key not in metadata:
            kind = field.types[0]
            w.add_key_value(key, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for key, value in metadata.items():
        add = {str: w.add_string, int: w.add_uint32, float: w.add_float32}[type(value)]
        add(key, value)
    for t in reader.tensors:
        w.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


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
    ap.add_argument("--derive", metavar="FILE", help="write the model that the record means")
    a = ap.parse_args()
    for path in a.files:
        if a.derive:
            derive(path, a.derive)
        elif a.perplexity:
            perplexity(path)
        else:
            golden(path, a.write)


if __name__ == "__main__":
    main()
