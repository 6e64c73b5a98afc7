#!/usr/bin/env python3
"""Encoding speed of `host tokenize` (through engine.wasm) and of llama.cpp's `llama-tokenize`, turn by turn, MB/s.

Each side reads the text once and four times over; the difference is the time of three texts, without the start. Prints both
sides and the ratio of the medians (above 1: `host` is faster); --record appends a line of JSON to
`tests/bench/records/tokenizer.jsonl`.

    tests/bench/tokenizer.py --peer PATH/llama-tokenize --model VOCAB.gguf TEXT [--rounds 3]

TEXT should have a few MB of ordinary text.
"""
import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def seconds(command, text):
    start = time.monotonic()
    with open(text, "rb") as stdin:
        subprocess.run(command, check=True, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=str(ROOT / "target/release/host"))
    parser.add_argument("--peer", required=True, help="path of llama-tokenize")
    parser.add_argument("--model", required=True)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = args.text.read_bytes()
        once, four = pathlib.Path(folder) / "once", pathlib.Path(folder) / "four"
        once.write_bytes(text)
        four.write_bytes(text * 4)
        megabytes = 3 * len(text) / 1e6
        commands = {
            "host": lambda file: [args.host, "tokenize", "-m", args.model],
            "llama.cpp": lambda file: [args.peer, "-m", args.model, "-f", str(file), "--log-disable", "--ids"],
        }
        speeds = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                difference = seconds(command(four), four) - seconds(command(once), once)
                speeds[name].append(megabytes / difference)
    medians = {name: statistics.median(s) for name, s in speeds.items()}
    ratio = medians["host"] / medians["llama.cpp"]
    model = pathlib.Path(args.model).name
    print(f"{model}: host {medians['host']:.1f} MB/s, llama.cpp {medians['llama.cpp']:.1f} MB/s, ratio {ratio:.2f}")
    if args.record:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        line = {"date": datetime.date.today().isoformat(), "commit": commit, "model": model, "text_bytes": len(text),
                "rounds": args.rounds, "host": round(medians["host"], 1), "llama.cpp": round(medians["llama.cpp"], 1),
                "ratio": round(ratio, 3)}
        with open(ROOT / "tests/bench/records/tokenizer.jsonl", "a", encoding="utf-8") as records:
            records.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
