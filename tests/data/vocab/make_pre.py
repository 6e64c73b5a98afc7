#!/usr/bin/env python3
"""Writes pre.txt (a text of every kind of character, seeded) and pre.out: for each name of a pre-tokenizer, llama.cpp's
ids of that text with the GPT-2 vocabulary, whose `tokenizer.ggml.pre` is set to that name.

    make_pre.py PATH/llama-tokenize NAME...        needs the `gguf` package
"""
import gzip
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import gguf

HERE = pathlib.Path(__file__).parent


def text():
    rng = random.Random(7)
    pieces = [
        lambda: "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCXYZ") for _ in range(rng.randint(1, 9))),
        lambda: rng.choice(["HelloWorld", "camelCase", "ALLCAPS", "McDonald", "iPhone", "don't", "I'LL", "we'Ve", "'s", "x'D"]),
        lambda: str(rng.randint(0, 10 ** rng.randint(1, 9))),
        lambda: rng.choice(["3.14", "1,234,567", "12a1234", "0x1F", "²³¹", "Ⅷ", "٣٤٥٦", "a1b22c333d4444"]),
        lambda: " " * rng.randint(1, 5),
        lambda: rng.choice(["\n", "\n\n", "\r\n", " \n", "\t", "\n  ", "\u3000", "\u00a0", "  \t "]),
        lambda: rng.choice("!?.,;:-_/\\|()[]{}<>=+*&^%$#@~`'\"") * rng.randint(1, 3),
        lambda: rng.choice(["...\n", " !!\r\n", "?/", ";\n\n", "</a>", "http://x.y/z?q=1", "«quoted»", "“curly”", "—", "…", "。", "，", "！？"]),
        lambda: rng.choice(["Привет", "мир", "Ελλάδα", "ÉCOLE", "naïve", "straße", "Ǆungla", "ﬁne", "ſ"]),
        lambda: rng.choice(["你好世界", "我想在apple工作", "日本語テキスト", "カタカナ", "한국어", "ㄱㄴ", "ภาษาไทย", "ພາສາ", "ខ្មែរ", "မြန်မာ"]),
        lambda: rng.choice(["é", "x\u0301y", "हिन्दी", "বাংলা", "עִבְרִית", "العربية", "\u0301"]),
        lambda: rng.choice(["🚀", "😶\u200d🌫️", "€", "£100", "©", "∑x²", "→", "\u2028", "\u0085"]),
    ]
    return "".join(rng.choice(pieces)() + (" " if rng.random() < 0.4 else "") for _ in range(420))


def with_pre(path, name):
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(None, "gpt2")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = name if field.name == "tokenizer.ggml.pre" else field.contents()
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_array(field.name, value)
        else:
            writer.add_key_value(field.name, value, kind)
    out = tempfile.NamedTemporaryFile(suffix=".gguf")
    writer.write_header_to_file(out.name)
    writer.write_kv_data_to_file()
    writer.close()
    return out


def main():
    tool, names = sys.argv[1], sys.argv[2:]
    (HERE / "pre.txt").write_bytes(text().encode())
    with tempfile.NamedTemporaryFile(suffix=".gguf") as plain:
        plain.write(gzip.decompress((HERE / "gpt-2.gguf.gz").read_bytes()))
        plain.flush()
        lines = []
        for name in names:
            with with_pre(plain.name, name) as vocab:
                command = [tool, "-m", vocab.name, "--ids", "--no-bos", "--no-parse-special", "--no-escape", "--log-disable", "-f", str(HERE / "pre.txt")]
                run = subprocess.run(command, capture_output=True, text=True)
                ids = re.search(r"\[([0-9, ]*)\]", run.stdout)
                if run.returncode or not ids:
                    sys.exit(f"{name}: {run.stdout[-300:]} {run.stderr[-300:]}")
                lines.append(f"{name}\t{ids[1].replace(',', '')}\n")
                print(name, len(ids[1].split()), file=sys.stderr)
    (HERE / "pre.out").write_text("".join(lines))


main()
