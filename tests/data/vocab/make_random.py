#!/usr/bin/env python3
"""Writes random.txt (texts of all kinds of characters, seeded, separated as the cases are) and random.out: for each
vocabulary here and each text a line of the vocabulary's name, a tab, and llama.cpp's ids.

    make_random.py PATH/llama-tokenize
"""
import gzip
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
TEXTS = 60

# First and last characters of scripts and of other blocks.
BLOCKS = [
    (0x00C0, 0x024F), (0x0300, 0x036F), (0x0370, 0x03FF), (0x0400, 0x04FF), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0900, 0x097F),
    (0x0E01, 0x0E5B), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x1E00, 0x1FFF), (0x2000, 0x206F),
    (0x2070, 0x218F), (0x2190, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xA640, 0xABFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF),
    (0xF900, 0xFAFF), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0x0080, 0x009F),
]
# Characters that are often treated on their own.
SETS = [
    "0123456789", "²³¹½Ⅷ٣٤٥६७๑๒１①", " ", "\n", " \t\n\r", "\u00a0\u3000\u2028\u2029\u0085\u200b\ufeff\u180e\u2581",
    "\x00\x01\x07\x08\x0b\x0c\x1b\x1f\x7f", "!?.,;:-_/\\|()[]{}<>=+*&^%$#@~`'\"",
]
WORDS = (
    "the of and don't I'LL he'd she's we've It'S HelloWorld ALLCAPS iPhone naïve straße Ǆungla ﬁne ſ http://x.y/z?q=1 foo_bar() "
    "👩‍👩‍👧 🏳️‍🌈 🇩🇪 1️⃣ 👍🏽 <s> </s> <unk> <0x0A> <|endoftext|> [MASK] Ġ ▁the � \ua7db"
).split(" ")


def piece(rng):
    kind = rng.randrange(6)
    if kind < 2:
        first, last = rng.choice(BLOCKS)
        return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 6)))
    if kind < 4:
        return "".join(rng.choice(chosen) for chosen in [rng.choice(SETS)] for _ in range(rng.randint(1, 8)))
    if kind == 4:
        return rng.choice(["a", " ", "\n", "=", "é", "你", "a "]) * rng.randint(1, 40)
    return rng.choice(["", " "]) + rng.choice(WORDS)


def texts():
    rng = random.Random(11)
    # A line end at the end would be taken off by llama-tokenize.
    return ["".join(piece(rng) for _ in range(rng.choice([1, 2, 3, 5, 8, 13]))) + "." for _ in range(TEXTS)]


def ids(tool, vocab, text):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        command = [tool, "-m", vocab, "--ids", "--no-bos", "--no-parse-special", "--no-escape", "--log-disable", "-f", file.name]
        run = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"\[([0-9, ]*)\]", run.stdout)
    if run.returncode or not found:
        sys.exit(f"{vocab}: {run.stdout[-300:]} {run.stderr[-300:]}")
    return found[1].replace(",", "")


def main():
    tool, lines = sys.argv[1], []
    (HERE / "random.txt").write_bytes("\n__ggml_vocab_test__\n".join(texts()).encode())
    for packed in sorted(HERE.glob("*.gguf.gz")):
        with tempfile.NamedTemporaryFile(suffix=".gguf") as vocab:
            vocab.write(gzip.decompress(packed.read_bytes()))
            vocab.flush()
            name = packed.name.removesuffix(".gguf.gz")
            lines += [f"{name}\t{ids(tool, vocab.name, text)}\n" for text in texts()]
            print(name, file=sys.stderr)
    (HERE / "random.out").write_text("".join(lines))


main()
