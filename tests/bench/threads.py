#!/usr/bin/env python3
"""Decode speed with more threads than cores, and on cores that are busy with other work, next to `llama-bench`.

    tests/bench/threads.py --model MODEL.gguf --peer PATH/llama-bench [--host target/release/host] [--rounds 3]
        [--threads 1,2,4,16,64] [-n 16] [--record]

Each number of threads is measured twice: on cores that nobody else uses, and with one busy process for each core, which this
script starts and ends. Both sides run in turn. Printed are medians of tokens per second and their ratio (above 1: the host is
faster). --record appends a line of JSON for each row to `tests/bench/records/threads.jsonl`.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

RECORDS = pathlib.Path(__file__).resolve().parent / "records/threads.jsonl"


def output(command):
    """What a command prints; ends the script if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def host(args, threads):
    """Tokens per second of `host bench`."""
    tests = output([args.host, "bench", "-m", args.model, "-p", "0", "-n", str(args.n), "-r", "1",
                    "-t", str(threads), "--output", "json"])["tests"]
    return statistics.median(next(t["samples"] for t in tests if t["test"] == "decode"))


def peer(args, threads):
    """Tokens per second of `llama-bench`."""
    tests = output([args.peer, "-m", args.model, "-p", "0", "-n", str(args.n), "-r", "1",
                    "-t", str(threads), "-ngl", "0", "-o", "json"])
    return statistics.median(tests[0]["samples_ts"])


@contextlib.contextmanager
def busy(processes):
    """So many processes that compute without end."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def cpu():
    """Name of the processor, as Linux says it."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return "unknown"


def measure(args, threads, loaded):
    """A row: medians of both sides, in turn."""
    cores = len(os.sched_getaffinity(0))
    speeds = {host: [], peer: []}
    with busy(cores if loaded else 0):
        for i in range(args.rounds):
            for side in (host, peer) if i % 2 == 0 else (peer, host):
                speeds[side].append(side(args, threads))
    ours, theirs = (statistics.median(speeds[side]) for side in (host, peer))
    return {"date": datetime.date.today().isoformat(), "cpu": cpu(), "cores": cores, "load_before": os.getloadavg()[0],
            "model": pathlib.Path(args.model).name, "threads": threads, "busy": loaded, "n": args.n, "rounds": args.rounds,
            "host": round(ours, 2), "llama.cpp": round(theirs, 2), "ratio": round(ours / theirs, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--host", default="target/release/host")
    parser.add_argument("--threads", default="1,2,4,16,64")
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    print(f"{cpu()}, {len(os.sched_getaffinity(0))} cores")
    print(f"{'threads':>7}  {'cores':<6}  {'host':>9}  {'llama.cpp':>9}  ratio")
    for loaded in (False, True):
        for threads in map(int, args.threads.split(",")):
            row = measure(args, threads, loaded)
            state = "busy" if loaded else "free"
            print(f"{threads:>7}  {state:<6}  {row['host']:>9}  {row['llama.cpp']:>9}  {row['ratio']}", flush=True)
            if args.record:
                with RECORDS.open("a") as file:
                    file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
