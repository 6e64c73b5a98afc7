#!/usr/bin/env python3
"""From process start to the first token of the built-in model, without a cache folder ("cold") and with one ("warm").

Prints medians and spreads of milliseconds, of CPU time too (what is left of a loaded machine's wall time), and the largest
resident set. A pipe tells when the first token comes.

    start.py --host target/dist/host [--host 'plain=target/release/host'] [--rounds 15]
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import tempfile
import time


def start(words, cache):
    """Milliseconds to the first byte on stdout, of CPU time until the end, and MiB of the largest resident set."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHORD_")}
    environment["XDG_CACHE_HOME"] = cache
    command = words + ["run", "-n", "1", "--temp", "0", "--quiet", "Once upon a time"]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    first = os.read(child.stdout.fileno(), 1)
    milliseconds = (time.perf_counter() - began) * 1000
    child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0 or not first:
        raise SystemExit(f"{shlex.join(command)}: no token, status {status}")
    return milliseconds, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024


def measure(hosts, rounds):
    """All hosts in turn; a row for each host and kind of start."""
    times = {(name, kind): [] for name in hosts for kind in ("cold", "warm")}
    with tempfile.TemporaryDirectory() as warm:
        for words in hosts.values():
            start(words, warm)
        for _ in range(rounds):
            for name, words in hosts.items():
                with tempfile.TemporaryDirectory() as cold:
                    times[name, "cold"].append(start(words, cold))
                times[name, "warm"].append(start(words, warm))
    for (name, kind), starts in times.items():
        milliseconds, cpu, memory = zip(*starts)
        yield {
            "host": name,
            "start": kind,
            "ms": round(statistics.median(milliseconds), 1),
            "ms_min": round(min(milliseconds), 1),
            "ms_max": round(max(milliseconds), 1),
            "cpu_ms": round(statistics.median(cpu), 1),
            "rss_mib": round(max(memory), 1),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", action="append", required=True, metavar="[NAME=]COMMAND")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    hosts = {}
    for host in options.host:
        name, _, command = host.rpartition("=")
        hosts[name or command] = shlex.split(command)
    for row in measure(hosts, options.rounds):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
