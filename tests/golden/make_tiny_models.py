#!/usr/bin/env python3
"""Write the tiny F32 models with random weights that the golden files are about.

    pip install gguf==0.19.0 numpy==2.4.6
    make_tiny_models.py --vocab-from tests/data/models/demo-stories-3.7M-q8_0.gguf --out tests/data/models

Each tensor has its own generator keyed by (model, tensor name), so the bytes never depend on the order of tensors.
The tokenizer is the first 1024 tokens of the default model's (887 of them used); `tiny-llama` carries the same pieces
as an SPM vocabulary, so that both kinds of tokenizer are met by a model with weights.
"""
import argparse
import hashlib
import math
import pathlib

import gguf
import numpy as np
from gguf import GGUFReader, GGUFWriter

VOCAB = 1024
# Every shape makes something visible that a square, untied, 1:1 model would hide.
MODELS = {
    # SPM tokenizer, separate output matrix, one KV head for four query heads.
    "tiny-llama": dict(arch="llama", layers=2, d=128, ff=320, heads=4, kv=1, hd=32, tied=False, base=1e4, eps=1e-5),
    # Llama 3 style: rope_freqs.weight, tied output, GQA 2:1.
    "tiny-llama3": dict(arch="llama", layers=2, d=128, ff=320, heads=4, kv=2, hd=32, tied=True, base=5e5, eps=1e-5, factors=True),
    # Q and K normed per head, heads * head_dim != d, tied output.
    "tiny-qwen3": dict(arch="qwen3", layers=2, d=128, ff=256, heads=4, kv=2, hd=64, tied=True, base=1e6, eps=1e-6, qknorm=True),
    # Biases on Q, K and V.
    "tiny-qwen2": dict(arch="qwen2", layers=2, d=128, ff=320, heads=4, kv=2, hd=32, tied=True, base=1e6, eps=1e-6, bias=True),
    # Scaled embeddings, GELU, norms on both sides, both soft caps (low enough to bend), every other layer a window.
    "tiny-gemma2": dict(arch="gemma2", layers=3, d=96, ff=256, heads=4, kv=2, hd=32, tied=True, base=1e4, eps=1e-6, post=True,
                        window=24, caps=(5.0, 15.0), embedding=0.02, last=12.0),
    # Per-head norms, two windowed layers of another rotary base per full one, which is stretched by 2.
    "tiny-gemma3": dict(arch="gemma3", layers=4, d=96, ff=256, heads=4, kv=1, hd=32, tied=True, base=1e6, eps=1e-6, post=True,
                        qknorm=True, window=24, pattern=3, base_swa=1e4, stretch=2.0, embedding=0.02, last=12.0),
    # Fused QKV and gate/up, rope factors for long and short contexts, longer rotated vectors.
    "tiny-phi3": dict(arch="phi3", layers=2, d=128, ff=320, heads=4, kv=2, hd=32, tied=False, base=1e4, eps=1e-5, fused=True,
                      context=1024, original=128, attn_factor=1.19),
    # Some of the experts per token.
    "tiny-qwen3moe": dict(arch="qwen3moe", layers=2, d=128, ff=96, heads=4, kv=2, hd=64, tied=True, base=1e6, eps=1e-6, qknorm=True,
                          experts=(5, 3)),
    "tiny-mixtral": dict(arch="llama", layers=2, d=128, ff=128, heads=4, kv=2, hd=32, tied=True, base=1e4, eps=1e-5, experts=(4, 2)),
}


def tensors(s):
    """Yield (name, shape, mean, std); shape is [rows, cols] or [n]."""
    d, q, k, ff = s["d"], s["heads"] * s["hd"], s["kv"] * s["hd"], s["ff"]
    fan = lambda n, gain: gain / math.sqrt(n)
    # Gemma's embeddings are scaled by sqrt(d): small ones leave the layers something to say.
    yield "token_embd.weight", (VOCAB, d), 0.0, s.get("embedding", 0.1)
    for i in range(s["layers"]):
        p = f"blk.{i}."
        yield p + "attn_norm.weight", (d,), 1.0, 0.2
        if s.get("fused"):
            yield p + "attn_qkv.weight", (q + 2 * k, d), 0.0, fan(d, 1.2)
        else:
            yield p + "attn_q.weight", (q, d), 0.0, fan(d, 1.2)
            yield p + "attn_k.weight", (k, d), 0.0, fan(d, 1.2)
            yield p + "attn_v.weight", (k, d), 0.0, fan(d, 1.2)
        if s.get("bias"):
            yield p + "attn_q.bias", (q,), 0.0, 0.5
            yield p + "attn_k.bias", (k,), 0.0, 0.5
            yield p + "attn_v.bias", (k,), 0.0, 0.5
        if s.get("qknorm"):
            yield p + "attn_q_norm.weight", (s["hd"],), 1.2, 0.3
            yield p + "attn_k_norm.weight", (s["hd"],), 1.2, 0.3
        yield p + "attn_output.weight", (d, q), 0.0, fan(q, 1.5)
        yield p + "ffn_norm.weight", (d,), 1.0, 0.2
        if "experts" in s:
            count = s["experts"][0]
            yield p + "ffn_gate_inp.weight", (count, d), 0.0, fan(d, 1.5)
            yield p + "ffn_gate_exps.weight", (count, ff, d), 0.0, fan(d, 1.2)
            yield p + "ffn_up_exps.weight", (count, ff, d), 0.0, fan(d, 1.2)
            yield p + "ffn_down_exps.weight", (count, d, ff), 0.0, fan(ff, 1.5)
        elif s.get("fused"):
            yield p + "ffn_up.weight", (2 * ff, d), 0.0, fan(d, 1.2)
        else:
            yield p + "ffn_gate.weight", (ff, d), 0.0, fan(d, 1.2)
            yield p + "ffn_up.weight", (ff, d), 0.0, fan(d, 1.2)
        if "experts" not in s:
            yield p + "ffn_down.weight", (d, ff), 0.0, fan(ff, 1.5)
        if s.get("post"):
            yield p + "post_attention_norm.weight", (d,), 1.0, 0.2
            yield p + "post_ffw_norm.weight", (d,), 1.0, 0.2
    last = s.get("last", 3.0)
    yield "output_norm.weight", (d,), last, last / 5
    if not s["tied"]:
        yield "output.weight", (VOCAB, d), 0.0, 0.1
    if s.get("factors"):
        yield "rope_freqs.weight", (s["hd"] // 2,), None, None
    if s.get("original"):
        yield "rope_factors_long.weight", (s["hd"] // 2,), 3.0, 0.5
        yield "rope_factors_short.weight", (s["hd"] // 2,), 1.1, 0.02


def rope_factors(s, factor=8.0, low=1.0, high=4.0, original=128):
    """Llama 3 frequency factors, with an original context so short that 100 tokens show a mistake."""
    out = []
    for i in range(s["hd"] // 2):
        wavelength = 2 * math.pi * s["base"] ** (2 * i / s["hd"])
        smooth = (original / wavelength - low) / (high - low)
        if wavelength < original / high:
            out.append(1.0)
        elif wavelength > original / low:
            out.append(factor)
        else:
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


def values(model, name, shape, mean, std):
    seed = int.from_bytes(hashlib.sha256(f"{model}:{name}".encode()).digest()[:8], "little")
    rng = np.random.Generator(np.random.SFC64(seed))
    return (np.float32(mean) + np.float32(std) * rng.standard_normal(shape, np.float32)).astype(np.float32)


def byte_of(char):
    """The byte that a byte-level BPE character stands for."""
    plain = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    other = [b for b in range(256) if b not in plain]
    table = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}
    return table[char]


def bpe(w, tokens, merges, pre):
    tokens = tokens[:VOCAB]
    kinds = [3] + [5 if t.startswith("<unused") else 1 for t in tokens[1:]]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(kinds)
    w.add_token_merges(merges)
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    w.add_add_bos_token(pre != "qwen2")


def spm(w, tokens):
    """The same pieces, merges ranked by score: unk, bos, eos, 256 bytes, printable ASCII, then the merged pieces."""
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    kinds = [2, 3, 3] + [6] * 256
    chars = ["\u2581"] + [chr(b) for b in range(33, 127)]
    merged = [bytes(map(byte_of, t)).decode().replace(" ", "\u2581") for t in tokens[257:] if not t.startswith("<unused")]
    normal = chars + [t for t in merged if "\n" not in t]
    scores = [0.0] * len(pieces) + [-1e3 - i for i in range(len(chars))] + [-float(i) for i in range(len(normal) - len(chars))]
    pieces, kinds = pieces + normal, kinds + [1] * len(normal)
    for i in range(len(pieces), VOCAB):
        pieces.append(f"<unused{i}>")
        scores.append(-1e4)
        kinds.append(5)
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(pieces)
    w.add_token_scores(scores)
    w.add_token_types(kinds)
    w.add_unk_token_id(0)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)


def write(name, s, tokens, merges, path):
    w = GGUFWriter(path, s["arch"])
    # llama.cpp looks for special tokens in what is called "phi3".
    w.add_name(name.replace("phi3", "phi-three"))
    w.add_description("random weights, for tests only")
    w.add_license("CC0-1.0")
    w.add_context_length(s.get("context", 256))
    w.add_embedding_length(s["d"])
    w.add_block_count(s["layers"])
    w.add_feed_forward_length(s["ff"])
    w.add_head_count(s["heads"])
    w.add_head_count_kv(s["kv"])
    w.add_key_length(s["hd"])
    w.add_value_length(s["hd"])
    w.add_rope_dimension_count(s["hd"])
    w.add_rope_freq_base(s["base"])
    w.add_layer_norm_rms_eps(s["eps"])
    w.add_vocab_size(VOCAB)
    if "window" in s:
        w.add_sliding_window(s["window"])
    if "experts" in s:
        w.add_expert_count(s["experts"][0])
        w.add_expert_used_count(s["experts"][1])
        w.add_expert_feed_forward_length(s["ff"])
    if "pattern" in s:
        w.add_uint32(f"{s['arch']}.attention.sliding_window_pattern", s["pattern"])
    if "caps" in s:
        w.add_attn_logit_softcapping(s["caps"][0])
        w.add_final_logit_softcapping(s["caps"][1])
    if "base_swa" in s:
        w.add_float32(f"{s['arch']}.rope.freq_base_swa", s["base_swa"])
    if "stretch" in s:
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(s["stretch"])
    if "original" in s:
        w.add_rope_scaling_orig_ctx_len(s["original"])
        w.add_rope_scaling_attn_factors(s["attn_factor"])
    w.add_file_type(gguf.LlamaFileType.ALL_F32)
    if name == "tiny-llama":
        spm(w, tokens)
    else:
        bpe(w, tokens, merges, "qwen2" if s["arch"].startswith("qwen") else "llama-bpe")
    for t, shape, mean, std in tensors(s):
        w.add_tensor(t, rope_factors(s) if mean is None else values(name, t, shape, mean, std))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--vocab-from", required=True, help="GGUF file of the default model")
    ap.add_argument("--out", required=True, type=pathlib.Path, help="folder to write into")
    a = ap.parse_args()
    fields = GGUFReader(a.vocab_from).fields
    tokens, merges = (fields[f"tokenizer.ggml.{k}"].contents() for k in ("tokens", "merges"))
    for name, s in MODELS.items():
        write(name, s, tokens, merges, a.out / f"{name}-f32.gguf")


if __name__ == "__main__":
    main()
