#!/usr/bin/env python3
"""Measures the index: how fast it is built, how large it is, and what it saves.

Everything is measured in one run on the machine at hand; compare the rows of one run.

    benches/index.py --corpus DIR [--queries FILE] [--questions FILE] [--runs 3] [--only build,size,latency]

`--queries` and `--questions` are JSON files with `queries` ({pattern, fixed, case_insensitive,
multiline}) and `questions` ({question}); without them a few stand in.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from compare import BIN, ROOT, TARGET, Program, bucket_of, loopback, run, say


def peak(command, env=None):
    """Seconds and the largest resident set in MiB of a command that succeeds."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.execve(str(command[0]), [str(word) for word in command], env or os.environ)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command} failed with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def build(args, scratch):
    say("\nbuild: r2vfs index build over a directory, beside tantivy alone over the same files")
    size = sum(path.stat().st_size for path in args.corpus.rglob("*") if path.is_file())
    own, bare, memory = [], [], 0
    for n in range(args.runs):
        out = subprocess.run([TARGET / "release/examples/bare_tantivy", args.corpus],
                             stdout=subprocess.PIPE, check=True, text=True).stdout.split()
        bare.append(float(out[2]))
        into = scratch / f"build{n}"
        seconds, resident = peak([BIN, "-b", args.corpus, "--index-dir", into, "index", "build",
                                  "--memory", "128MiB"])
        own.append(seconds)
        memory = max(memory, resident)
        shutil.rmtree(into)
    rates = [size / 1e6 / statistics.median(seconds) for seconds in (own, bare)]
    say(f"  r2vfs index build (all parts)   {rates[0]:7.1f} MB/s   [{min(own):.2f} - {max(own):.2f} s]")
    say(f"  tantivy alone (path and body)   {rates[1]:7.1f} MB/s   [{min(bare):.2f} - {max(bare):.2f} s]")
    say(f"  -> {rates[0] / rates[1]:.2f} of its speed; largest resident set {memory:.0f} MiB")


def size(args, scratch):
    say("\nsize: parts of the index against the bytes of the text")
    into = scratch / "size"
    run([BIN, "-b", args.corpus, "--index-dir", into, "index", "build"])
    _, done = run([BIN, "-b", args.corpus, "--index-dir", into, "--json", "index", "status"],
                  stdout=subprocess.PIPE)
    say("  " + done.stdout.decode().strip().replace("\n", "\n  "))


def latency(args, scratch):
    queries = [q for q in json.load(open(args.queries))["queries"]] if args.queries else [
        {"pattern": p, "fixed": True} for p in ("memory_limiter", "the", "exporter")]
    questions = [q["question"] for q in json.load(open(args.questions))["questions"]] if args.questions \
        else ["how do I limit memory?"]
    flags = {"fixed": "-F", "case_insensitive": "-i", "multiline": "-U"}
    greps = [["grep", "-c", "-a", *(flag for name, flag in flags.items() if q.get(name)), "-e", q["pattern"]]
             for q in queries]
    searches = [["search", question] for question in questions]

    def timed(name, commands, base, env, cache):
        for warmth in ("cold", "warm"):
            times, gets = [], []
            for command in commands:
                where = ["--cache-dir", cache] if warmth == "warm" else ["--no-disk-cache"]
                words = [BIN, *base, *where, "--stats", *command]
                if warmth == "warm":
                    run(words, env)
                seconds, done = run(words, env)
                times.append(seconds * 1000)
                cost = [l for l in done.stderr.decode().splitlines() if l.startswith("cost:")]
                if cost:
                    gets.append(int(cost[-1].split(" get request")[0].split()[-1]))
            times.sort()
            middle, last = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
            say(f"  {name:<34} {warmth}  p50 {middle:7.1f} ms  p99 {last:7.1f} ms"
                f"  gets p50 {statistics.median(gets) if gets else 0:.0f} max {max(gets, default=0)}")

    for delay in (0, 30):
        say(f"\nlatency: a new process each, {delay} ms added to each request, listing included")
        server, env = loopback("--dir", args.corpus)
        bucket = f"s3://{bucket_of(env)}"
        proxy = None
        if delay:
            target = env["AWS_ENDPOINT_URL_S3"].removeprefix("http://")
            proxy = Program(TARGET / "release/examples/delay-proxy", "--to", target)
            env = {**env, "AWS_ENDPOINT_URL_S3": proxy.said[0]}
        # Built through the proxy too: an index of another endpoint is refused, for nothing tells
        # that the objects there are the same.
        index = scratch / f"latency{delay}"
        here = ["-b", bucket, "--index-dir", index]
        run([BIN, *here, "index", "build"], env)
        run([BIN, *here, "index", "publish"], env)
        away = ["-b", bucket, "--index-dir", scratch / "nothing"]
        timed("grep, no index", greps, ["-b", bucket, "--index", "off"], env, scratch / f"c{delay}a")
        timed("grep, local index", greps, here, env, scratch / f"c{delay}b")
        timed("grep, published index", greps, away, env, scratch / f"c{delay}c")
        timed("search, local index", searches, here, env, scratch / f"c{delay}d")
        timed("search, published index", searches, away, env, scratch / f"c{delay}e")
        if proxy:
            proxy.stop()
        server.stop()


def main():
    parts = {"build": build, "size": size, "latency": latency}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, type=pathlib.Path, help="a directory of text files")
    parser.add_argument("--queries", type=pathlib.Path)
    parser.add_argument("--questions", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="build,size,latency", type=lambda text: text.split(","))
    parser.add_argument("--no-build", dest="build", action="store_false",
                        help="measure the programs as they are")
    args = parser.parse_args()
    args.corpus = args.corpus.resolve()
    if args.build:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--bin", "r2vfs",
                        "--example", "s3-loopback", "--example", "delay-proxy"], cwd=ROOT, check=True)
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "r2vfs-index",
                        "--example", "bare_tantivy"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="r2vfs-index-") as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        for name, part in parts.items():
            if name in args.only:
                part(args, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
