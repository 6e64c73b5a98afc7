#!/usr/bin/env python3
"""Trains the default model: a llama-architecture transformer, on the CPU, in bfloat16 with float32 weights.

    train.py --data DIR --out DIR [--steps 2400]

DIR has train.npz and heldout.npz of make_tokenizer.py. Writes checkpoint.pt (weights, optimiser state, step; replaced
whole) and loss.csv (step, tokens seen, training loss, held-out loss, seconds). Started again with the same --out it goes
on from its checkpoint, with more --steps or other --rows if these are given. The batch of a step depends on --rows, --seed
and the step's number only. Needs PyTorch 1.13 or newer.
"""

import argparse
import csv
import dataclasses
import math
import os
import pathlib
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

QUERIES = 128  # positions whose attention is computed at once; later keys are left out


@dataclasses.dataclass
class Shape:
    vocab: int = 2048
    context: int = 512
    width: int = 256
    layers: int = 6
    heads: int = 8
    kv_heads: int = 4
    ffn: int = 768
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head(self):
        return self.width // self.heads


class Norm(nn.Module):
    """Root mean square norm (arXiv 1910.07467)."""

    def __init__(self, width, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotary(shape):
    """Cosines and sines, [context, head / 2], of rotary embeddings on neighbouring pairs (arXiv 2104.09864)."""
    rates = shape.rope_base ** (-torch.arange(0, shape.head, 2).float() / shape.head)
    angles = torch.outer(torch.arange(shape.context).float(), rates)
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    even, odd = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        kv = shape.kv_heads * shape.head
        self.shape = shape
        self.attn_norm = Norm(shape.width, shape.norm_eps)
        self.attn_q = nn.Linear(shape.width, shape.width, bias=False)
        self.attn_k = nn.Linear(shape.width, kv, bias=False)
        self.attn_v = nn.Linear(shape.width, kv, bias=False)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = Norm(shape.width, shape.norm_eps)
        self.ffn_gate = nn.Linear(shape.width, shape.ffn, bias=False)
        self.ffn_up = nn.Linear(shape.width, shape.ffn, bias=False)
        self.ffn_down = nn.Linear(shape.ffn, shape.width, bias=False)

    def attention(self, x, cos, sin, mask):
        rows, length, _ = x.shape
        s = self.shape

        def split(y, heads):
            return y.view(rows, length, heads, s.head).transpose(1, 2)

        q = rotate(split(self.attn_q(x), s.heads), cos, sin)
        k = rotate(split(self.attn_k(x), s.kv_heads), cos, sin)
        v = split(self.attn_v(x), s.kv_heads)
        # Heads that share keys and values lie side by side: one product each for [rows, kv_heads].
        group = s.heads // s.kv_heads
        q = (q / math.sqrt(s.head)).to(v.dtype).view(rows, s.kv_heads, group, length, s.head)
        k = k.to(v.dtype).transpose(-1, -2)
        parts = []
        with torch.autocast("cpu", enabled=False):
            for start in range(0, length, QUERIES):
                end = min(start + QUERIES, length)
                queries = q[:, :, :, start:end].reshape(rows, s.kv_heads, group * (end - start), s.head)
                scores = (queries @ k[..., :end]).view(rows, s.kv_heads, group, end - start, end)
                shares = functional.softmax(scores + mask[start:end, :end], dim=-1)
                part = shares.view(rows, s.kv_heads, group * (end - start), end) @ v[:, :, :end]
                parts.append(part.view(rows, s.kv_heads, group, end - start, s.head))
        mixed = torch.cat(parts, dim=3).view(rows, s.heads, length, s.head)
        return self.attn_output(mixed.transpose(1, 2).reshape(rows, length, s.width))

    def forward(self, x, cos, sin, mask):
        x = x + self.attention(self.attn_norm(x), cos, sin, mask)
        y = self.ffn_norm(x)
        return x + self.ffn_down(functional.silu(self.ffn_gate(y)) * self.ffn_up(y))


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.token_embd = nn.Embedding(shape.vocab, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.width, shape.norm_eps)
        cos, sin = rotary(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        mask = torch.full((shape.context, shape.context), float("-inf")).triu(1).to(torch.bfloat16)
        self.register_buffer("mask", mask, persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * shape.layers) if residual else 0.02)

    def forward(self, ids):
        """Logits [rows, length, vocab] of ids [rows, length]; the output matrix is the embedding."""
        length = ids.shape[1]
        cos, sin, mask = self.cos[:length], self.sin[:length], self.mask[:length, :length]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, cos, sin, mask)
        return functional.linear(self.output_norm(x), self.token_embd.weight)


class Documents:
    def __init__(self, path):
        data = numpy.load(path)
        self.ids = data["ids"]
        self.starts = data["starts"]
        self.ends = numpy.append(self.starts[1:], len(self.ids))

    def row(self, rng, length):
        """`length` ids: whole documents from the start of the context on, the last one cut."""
        row = numpy.empty(0, dtype=numpy.int64)
        while len(row) < length:
            at = rng.integers(len(self.starts))
            row = numpy.append(row, self.ids[self.starts[at]:self.ends[at]].astype(numpy.int64))
        return row[:length]

    def batch(self, seed, step, rows, length):
        rng = numpy.random.default_rng([seed, step])
        return torch.from_numpy(numpy.stack([self.row(rng, length + 1) for _ in range(rows)]))


def loss_of(model, batch):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(batch[:, :-1])
    return functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


def held_out_loss(model, documents, options):
    """Mean over eight fixed batches, nats per token."""
    with torch.no_grad():
        losses = [loss_of(model, documents.batch(0, i, options.rows, options.context)) for i in range(8)]
    return torch.stack(losses).mean().item()


def rate(step, options):
    """Warm-up, then half a cosine down to a tenth."""
    warm = min(1.0, (step + 1) / options.warmup)
    done = step / options.steps
    return options.rate * warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def save(path, **content):
    part = path.with_suffix(".part")
    torch.save(content, part)
    os.replace(part, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--rows", type=int, default=8, help="sequences of a step")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=int, default=100, help="steps between held-out losses and checkpoints")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    text, held_out = Documents(options.data / "train.npz"), Documents(options.data / "heldout.npz")
    shape = Shape(context=options.context)
    model = Model(shape)
    matrices = [w for w in model.parameters() if w.dim() == 2]
    vectors = [w for w in model.parameters() if w.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=options.rate, betas=(0.9, 0.95))
    print(f"{sum(w.numel() for w in model.parameters())} parameters")

    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint, log = options.out / "checkpoint.pt", options.out / "loss.csv"
    first, before, tokens = 0, 0.0, 0
    if checkpoint.exists():
        kept = torch.load(checkpoint)
        if kept["shape"] != dataclasses.asdict(shape):
            raise SystemExit(f"{checkpoint} is of another model: choose another --out")
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        first, before, tokens = kept["step"], kept["seconds"], kept["tokens"]
        print(f"going on from step {first}")
    else:
        with open(log, "w", newline="") as file:
            csv.writer(file).writerow(["step", "tokens", "training", "heldout", "seconds"])

    started, losses = time.monotonic(), []
    for step in range(first, options.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, options)
        loss = loss_of(model, text.batch(options.seed, step, options.rows, options.context))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        tokens += options.rows * options.context

        done = step + 1
        if done % options.report == 0 or done == options.steps:
            held = held_out_loss(model, held_out, options)
            seconds = before + time.monotonic() - started
            mean = sum(losses) / len(losses)
            losses.clear()
            save(checkpoint, shape=dataclasses.asdict(shape), step=done, seconds=seconds, tokens=tokens,
                 model=model.state_dict(), optimiser=optimiser.state_dict())
            with open(log, "a", newline="") as file:
                csv.writer(file).writerow([done, tokens, f"{mean:.4f}", f"{held:.4f}", f"{seconds:.0f}"])
            left = (time.monotonic() - started) / (done - first) * (options.steps - done)
            print(f"step {done}/{options.steps}: loss {mean:.4f}, held out {held:.4f}; {left / 60:.0f} min left", flush=True)


if __name__ == "__main__":
    main()
