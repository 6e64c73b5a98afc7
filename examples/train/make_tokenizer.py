#!/usr/bin/env python3
"""Trains the byte-level BPE of the default model and turns the text into token ids.

    make_tokenizer.py --text text.jsonl --heldout heldout.jsonl --vocab 2048 --out .

Writes tokenizer.json, and train.npz and heldout.npz: `ids` (uint16, all documents one after the other, each starting
with <|endoftext|>) and `starts` (where each document starts). Needs the packages tokenizers and numpy.
"""

import argparse
import json
import pathlib

import numpy
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# The expression that GGUF files name "qwen2": digits one by one, a word with the space before it.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def documents(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def without_markers(texts):
    """The merges are learned from the text between the markers."""
    for text in texts:
        yield text.replace(TURN_START, "").replace(TURN_END, "")


def train(path, vocab):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(without_markers(documents(path)), trainer)
    return tokenizer


def encode(tokenizer, path, out):
    texts = [END_OF_TEXT + text for text in documents(path)]
    ids, starts, at = [], [], 0
    for encoding in tokenizer.encode_batch(texts):
        starts.append(at)
        ids.append(numpy.asarray(encoding.ids, dtype=numpy.uint16))
        at += len(encoding.ids)
    numpy.savez(out, ids=numpy.concatenate(ids), starts=numpy.asarray(starts, dtype=numpy.int64))
    print(f"{out}: {len(texts)} documents, {at} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--heldout", required=True)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    options = parser.parse_args()

    tokenizer = train(options.text, options.vocab)
    tokenizer.save(str(options.out / "tokenizer.json"))
    print(f"vocabulary: {tokenizer.get_vocab_size()} tokens")
    encode(tokenizer, options.text, options.out / "train.npz")
    encode(tokenizer, options.heldout, options.out / "heldout.npz")


if __name__ == "__main__":
    main()
