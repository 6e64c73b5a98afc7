#!/usr/bin/env python3
"""Prefill and decode speed of `host bench` and of other programs on the same files, turn by turn.

    tests/bench/vs_peers.py --model MODEL.gguf --peer llama.cpp=PATH/llama-bench \\
        --peer 'unpacked=PATH/llama-bench --repack 0' --peer 'ik=PATH_OF_IK/llama-bench -rtr 1' \\
        [-p 512] [-n 64] [-d 0,4096] [-t 2] [--rounds 7] [--parallel 1,4 --batched llama.cpp=PATH/llama-batched-bench]

A side is NAME=COMMAND with its own arguments; a command without a name is called after its file. Several `--host` are
several sides, as `--host 'small=target/release/host --memory-budget 4096'`. All sides run in every round, in another
order each time, since machines drift; before each round the machine itself is measured (`host bench --ceilings`),
unless --no-ceilings says not to.
Printed are medians with their spread, and the ratio of the first host's median to that of each side and of the best peer
(above 1: the host is faster); then the median of the rounds' own ratios with its 95 % confidence interval, from 6 rounds
on: of two sides that are nearly alike it says more. --record appends one line of JSON to `tests/bench/records/vs_peers.jsonl`.

`llama-bench` without `-d` (ik_llama.cpp's) measures decoding at a depth with `-gp`, and no prompts there.
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "tests/bench/records/vs_peers.jsonl"


class Side:
    """A program with its arguments. `kind`: host, peer (llama-bench), batched (llama-batched-bench)."""

    def __init__(self, kind, text):
        self.kind, self.build = kind, None
        self.name, self.command = named(text)
        if kind == "host":
            # A side's own arguments are options of `host bench`.
            self.command.insert(1, "bench")

    def run(self, arguments):
        done = subprocess.run(self.command + arguments, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{self.name}: {shlex.join(self.command + arguments)} failed:\n{done.stderr[-2000:]}")
        return done


def named(text):
    """Name and command of a side.

    >>> named("a.b=x/bench -t 1")
    ('a.b', ['x/bench', '-t', '1'])
    >>> named("target/release/host --isa=avx2")
    ('host', ['target/release/host', '--isa=avx2'])
    """
    match = re.match(r"([\w.+-]+)=(?=\S)(.*)", text, re.DOTALL)
    name, command = match.groups() if match else (None, text)
    command = shlex.split(command)
    if not command:
        raise argparse.ArgumentTypeError("expected NAME=COMMAND, found nothing to run")
    return name or pathlib.Path(command[0]).name, command


def numbers(text):
    """A comma list.

    >>> numbers("0,512")
    [0, 512]
    """
    return [int(n) for n in text.split(",")]


def key(test, tokens, depth, parallel):
    """What a test is called, the same for all sides.

    >>> key("decode", 64, 0, 1), key("decode", 64, 512, 4)
    ('decode 64', 'decode 64 at 512 x 4')
    """
    at = f" at {depth}" if depth else ""
    return f"{test} {tokens}{at}" + (f" x {parallel}" if parallel > 1 else "")


def host(side, model, args):
    """Speeds by test, tokens per second."""
    done = side.run(
        ["-m", model, "-p", str(args.p), "-n", str(args.n), "-d", joined(args.d), "-t", str(args.t),
         "--parallel", joined(args.parallel), "-r", str(args.r), "--output", "json", *shlex.split(args.host_args)])
    tests = json.loads(done.stdout)["tests"]
    return {key(t["test"], t["tokens"], t["depth"], t["parallel"]): statistics.median(t["samples"]) for t in tests}


def peer(side, model, args):
    """The same of `llama-bench`, whose `-d` older ones do not have."""
    common = ["-m", model, "-t", str(args.t), "-r", str(args.r), "-ngl", "0", "-o", "json"]
    if "--n-depth" in side.run(["--help"]).stdout:
        done = side.run(common + ["-p", str(args.p), "-n", str(args.n), "-d", joined(args.d)])
    else:
        deep = [part for d in args.d if d and args.n for part in ("-gp", f"{d},{args.n}")]
        flat = (args.p, args.n) if 0 in args.d else (0, 0)
        done = side.run(common + ["-p", str(flat[0]), "-n", str(flat[1])] + deep)
    tests = json.loads(done.stdout)
    side.build = tests[0]["build_commit"] if tests else None
    return dict(bench_speed(t) for t in tests)


def bench_speed(t):
    """Test and speed of an entry of `llama-bench -o json`.

    >>> bench_speed({"n_prompt": 512, "n_gen": 0, "n_depth": 32, "samples_ts": [1, 9, 2]})
    ('prefill 512 at 32', 2)
    >>> bench_speed({"n_prompt": 32, "n_gen": 64, "test": "tg64@pp32", "samples_ts": [5]})
    ('decode 64 at 32', 5)
    """
    speed = statistics.median(t["samples_ts"])
    if t["n_gen"]:
        return key("decode", t["n_gen"], t.get("n_depth", 0) or t["n_prompt"], 1), speed
    return key("prefill", t["n_prompt"], t.get("n_depth", 0), 1), speed


def batched(side, model, args):
    """Decoding of `llama-batched-bench`, which reads a prompt of at least one token first."""
    depths = sorted({max(d, 1) for d in args.d})
    context = (max(depths) + args.n) * max(args.parallel)
    done = side.run(
        ["-m", model, "-c", str(context), "-npp", joined(depths), "-ntg", str(args.n), "-npl", joined(args.parallel),
         "-t", str(args.t), "-ngl", "0"])
    found = dict(map(batched_speed, table(done.stdout + done.stderr)))
    if not found:
        sys.exit(f"{side.name}: no table in the output of {shlex.join(side.command)}")
    return found


def table(text):
    """Rows of numbers between bars.

    >>> table("| PP | TG |\\n|----|----|\\n|  1 | 2.5 |\\n")
    [[1.0, 2.5]]
    """
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.strip().startswith("|")]
    number = re.compile(r"\s*[\d.]+\s*")
    return [[float(cell) for cell in row] for row in rows if all(map(number.fullmatch, row))]


def batched_speed(row):
    """Test and speed of a row: prompt, generated, sequences, …, and the speed of generating before the last two.

    >>> batched_speed([1, 64, 4, 260, 0.1, 10, 0.2, 1280.0, 0.3, 99])
    ('decode 64 x 4', 1280.0)
    """
    prompt, tokens, parallel = map(int, row[:3])
    return key("decode", tokens, prompt if prompt > 1 else 0, parallel), row[7]


def joined(values):
    return ",".join(map(str, values))


def probe(side, model, args):
    """What the machine can do now: GB/s and GOP/s of all threads."""
    done = side.run(["-m", model, "-p", "0", "-n", "0", "-t", str(args.t), "--ceilings", "--output", "json"])
    found = json.loads(done.stdout)["ceilings"]
    return {name: round(rates["all"], 1) for kind in ("gb_s", "gop_s") for name, rates in found[kind].items()}


def measure(model, sides, args):
    """Samples by test and side, and what the machine could do before each round."""
    samples, ceilings = {}, []
    run = {"host": host, "peer": peer, "batched": batched}
    for i in range(args.rounds):
        if args.ceilings:
            ceilings.append(probe(sides[0], model, args))
            print(f"{pathlib.Path(model).name}, round {i + 1}: "
                  + ", ".join(f"{name} {rate:g}" for name, rate in ceilings[-1].items()), file=sys.stderr)
        for side in sides[i % len(sides):] + sides[:i % len(sides)]:
            for test, speed in run[side.kind](side, model, args).items():
                samples.setdefault(test, {}).setdefault(side.name, []).append(speed)
    return samples, ceilings


def summary(speeds, hosts):
    """Median, spread and ratio of each side of a test; the fastest that is not a host is the best peer.

    >>> s = summary({"host": [3.0, 2.0, 9.0], "a": [1.0], "b": [1.0, 2.0]}, ["host"])
    >>> s["sides"]["host"], s["sides"]["b"]["ratio"], s["best"], s["ratio"]
    ({'median': 3.0, 'min': 2.0, 'max': 9.0, 'ratio': 1.0, 'paired': None}, 2.0, 'b', 2.0)
    """
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    first = next((name for name in hosts if name in medians), None)

    def ratio(name):
        return round(medians[first] / medians[name], 3) if first else None

    sides = {
        name: {"median": round(medians[name], 3), "min": round(min(values), 3), "max": round(max(values), 3),
               "ratio": ratio(name), "paired": paired(speeds.get(first, []), values)}
        for name, values in speeds.items()
    }
    best = max((name for name in medians if name not in hosts), key=medians.get, default=None)
    return {"sides": sides, "best": best, "ratio": ratio(best) if best else None}


def paired(first, other):
    """Median of the rounds' ratios, and the ends of its 95 % confidence interval: order statistics, nothing assumed
    of the distribution. `None` for fewer than 6 rounds, which have no such interval, and for a side and itself.

    >>> paired([2.0, 4.0, 6.0, 9.0, 9.0, 6.0], [1.0, 2.0, 3.0, 3.0, 2.0, 6.0])
    [2.0, 1.0, 4.5]
    >>> paired([2.0], [1.0])
    """
    if first is other or len(first) != len(other) or len(first) < 6:
        return None
    ratios = sorted(a / b for a, b in zip(first, other))
    n = len(ratios)
    # The largest k for which fewer than k of n fair coins show heads in at most 2.5 % of all cases.
    k = max(k for k in range(1, n // 2 + 1) if sum(math.comb(n, i) for i in range(k)) <= 0.025 * 2**n)
    return [round(x, 4) for x in (statistics.median(ratios), ratios[k - 1], ratios[n - k])]


def show(model, tests):
    print(pathlib.Path(model).name)
    for test, found in tests.items():
        best = f"   {found['ratio']:.3f} of {found['best']}, the best peer" if found["ratio"] else ""
        print(f"  {test}{best}")
        for name, side in found["sides"].items():
            ratio = f"{side['ratio']:7.3f}" if side["ratio"] else ""
            pairs = "   paired {:.3f} ({:.3f} to {:.3f})".format(*side["paired"]) if side["paired"] else ""
            spread = f"({side['min']:.2f} to {side['max']:.2f})"
            print(f"    {name:<24} {side['median']:9.2f} tok/s  {spread} {ratio}{pairs}")


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def commit():
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()


def record(args, sides, models):
    line = {
        "date": datetime.date.today().isoformat(), "commit": commit(), "cpu": cpu(), "cores": os.cpu_count(),
        "threads": args.t, "rounds": args.rounds, "repetitions": args.r, "note": args.note, "host_args": args.host_args,
        # Paths are of one machine; file names and arguments say which configuration it was.
        "sides": {s.name: {"kind": s.kind, "build": s.build, "args": [pathlib.Path(s.command[0]).name, *s.command[1:]]}
                  for s in sides},
        "models": models,
    }
    with open(RECORDS, "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    side = "[NAME=]COMMAND"
    parser.add_argument("--host", action="append", metavar=side, help="`host`, built before; several: several sides")
    parser.add_argument("--peer", action="append", default=[], metavar=side, help="`llama-bench`")
    parser.add_argument("--batched", action="append", default=[], metavar=side, help="`llama-batched-bench`")
    parser.add_argument("--host-args", default="", help="more arguments of each host's `bench`")
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("-p", type=int, default=512, help="tokens of the prompt; 0 = no prefill")
    parser.add_argument("-n", type=int, default=64, help="tokens to generate; 0 = no decoding")
    parser.add_argument("-d", type=numbers, default=[0], help="tokens in the context before: 0,4096")
    parser.add_argument("--parallel", type=numbers, default=[1], help="sequences decoded together: 1,4")
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("-r", type=int, default=3, help="repetitions within a round; their median counts")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-ceilings", dest="ceilings", action="store_false", help="do not measure the machine")
    parser.add_argument("--note", default="", help="what is special, for the record")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    args.host = args.host or [str(ROOT / "target/release/host")]
    return parser, args


def main():
    parser, args = arguments()
    kinds = [("host", args.host), ("peer", args.peer), ("batched", args.batched)]
    # A batch is decoded, never a prompt.
    sides = [Side(kind, text) for kind, texts in kinds for text in texts if args.n or kind != "batched"]
    names = [side.name for side in sides]
    if len(set(names)) < len(names):
        parser.error(f"sides need different names, found {', '.join(names)}: give them as NAME=COMMAND")
    hosts = [side.name for side in sides if side.kind == "host"]
    models = {}
    for model in args.model:
        samples, ceilings = measure(model, sides, args)
        tests = {test: summary(speeds, hosts) for test, speeds in samples.items()}
        show(model, tests)
        models[pathlib.Path(model).name] = {"ceilings": ceilings, "tests": tests}
    if args.record:
        record(args, sides, models)


if __name__ == "__main__":
    main()
