#!/usr/bin/env python3
"""Prefill and decode speed of `host bench` and of llama.cpp's `llama-bench` on the same file, turn by turn.

Prints both sides and the ratio of the medians (above 1: `host` is faster); --record appends a line of JSON to
`tests/bench/records/vs_llama_cpp.jsonl`.

    tests/bench/vs_llama_cpp.py --peer PATH/llama-bench --model MODEL.gguf [-p 512] [-n 64] [-t 2] [--rounds 3]
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def host(args):
    out = subprocess.run(
        [args.host, "bench", "-m", args.model, "-p", str(args.p), "-n", str(args.n), "-t", str(args.t),
         "-r", "3", "--output", "json"], check=True, capture_output=True, text=True).stdout
    report = json.loads(out)
    return report["prefill_tok_s"], report["decode_tok_s"]


def peer(args):
    env = dict(os.environ)
    if args.preload:
        env["LD_PRELOAD"] = args.preload
    out = subprocess.run(
        [args.peer, "-m", args.model, "-p", str(args.p), "-n", str(args.n), "-t", str(args.t), "-r", "3",
         "-ngl", "0", "-o", "json"], check=True, capture_output=True, text=True, env=env).stdout
    tests = json.loads(out)
    args.build = tests[0]["build_commit"]
    prefill = [t["avg_ts"] for t in tests if t["n_prompt"] and not t["n_gen"]]
    decode = [t["avg_ts"] for t in tests if t["n_gen"] and not t["n_prompt"]]
    return (prefill or [None])[0], (decode or [None])[0]


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default=str(ROOT / "target/release/host"))
    parser.add_argument("--peer", required=True, help="path of llama-bench")
    parser.add_argument("--preload", help="library to preload into the peer (another build of its CPU backend)")
    parser.add_argument("--model", required=True)
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(host(args))
        theirs.append(peer(args))
    record = {
        "date": datetime.date.today().isoformat(),
        "commit": subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], check=True,
                                 capture_output=True, text=True).stdout.strip(),
        "cpu": cpu(), "threads": args.t, "model": pathlib.Path(args.model).name, "peer": args.build,
        "rounds": args.rounds, "note": args.note,
    }
    for i, name in enumerate([f"prefill {args.p}", f"decode {args.n}"]):
        a, b = [r[i] for r in ours], [r[i] for r in theirs]
        if None in a or None in b:
            continue
        a, b = statistics.median(a), statistics.median(b)
        record[name] = {"host": round(a, 2), "llama.cpp": round(b, 2), "ratio": round(a / b, 3)}
        print(f"{record['model']}  {name:<12} host {a:8.2f} tok/s   llama.cpp {b:8.2f} tok/s   ratio {a / b:.3f}")
    if args.record:
        with open(ROOT / "tests/bench/records/vs_llama_cpp.jsonl", "a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")


main()
