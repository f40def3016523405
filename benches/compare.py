#!/usr/bin/env python3
"""Sets r2vfs beside ripgrep on a local copy, and beside rclone and s3fs on the same server.

Everything is measured in one run on the machine at hand, interleaved, and printed as medians with
their range: compare the columns of one run, never the seconds of two machines.

    benches/compare.py --corpus DIR [--runs 5] [--only cached,latency,sync,mounts,memory]

Needs the release build of the program and of two helpers (made by this script), rg, and, for the
parts that name them, rclone, s3fs and FUSE. What is missing is said and left out.
"""

import argparse
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
BIN = TARGET / "release" / "r2vfs"
KEYS = {"AWS_ACCESS_KEY_ID": "testak", "AWS_SECRET_ACCESS_KEY": "testsk", "AWS_REGION": "us-east-1"}


def say(*words):
    print(*words, flush=True)


def run(command, env=None, check=True, **more):
    """Seconds that a command took, and its result. Its output goes nowhere unless it is asked for."""
    more.setdefault("stdout", subprocess.DEVNULL)
    began = time.perf_counter()
    done = subprocess.run(command, env=env, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **more)
    seconds = time.perf_counter() - began
    # grep exits with 1 when nothing matches.
    if check and done.returncode not in (0, 1):
        sys.exit(f"{command} failed with {done.returncode}:\n{done.stderr.decode()}")
    return seconds, done


def row(name, seconds):
    median = statistics.median(seconds)
    say(f"  {name:<46} {median:8.3f} s  [{min(seconds):.3f} - {max(seconds):.3f}]")
    return median


def interleave(runs, contenders):
    """Each contender in turn, `runs` times; {name: [seconds]}."""
    times = {name: [] for name in contenders}
    for _ in range(runs):
        for name, contender in contenders.items():
            times[name].append(contender())
    return {name: row(name, seconds) for name, seconds in times.items()}


class Program:
    """A helper that prints what it offers on its first lines and is stopped at the end."""

    def __init__(self, *command, lines=1):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said = [self.process.stdout.readline().strip() for _ in range(lines)]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def loopback(*arguments):
    server = Program(TARGET / "release/examples/s3-loopback", *map(str, arguments), lines=3)
    endpoint = server.said[0].split("=", 1)[1]
    return server, {**os.environ, **KEYS, "AWS_ENDPOINT_URL_S3": endpoint}


def grep(env, pattern, *flags, bucket="s3://kbase"):
    return lambda: run([BIN, "-b", bucket, *flags, "grep", "-c", pattern], env)[0]


def bucket_of(env):
    """The name of the loopback server's one bucket."""
    return "bucket"


def cached(args, scratch):
    say("\ncached: a new process, the objects in r2vfs's disk cache, listing included, beside rg")
    server, env = loopback("--dir", args.corpus)
    cache = scratch / "cached"
    bucket = f"s3://{bucket_of(env)}"
    for pattern in ["memory_limiter", "the"]:
        ours = [BIN, "-b", bucket, "--cache-dir", cache, "grep", "-c", pattern]
        run(ours, env)
        medians = interleave(args.runs * 4, {
            f"rg -c {pattern}": lambda p=pattern: run(["rg", "--no-config", "--no-mmap", "-uu", "-c", p, args.corpus])[0],
            f"r2vfs grep -c {pattern} (disk cache)": lambda c=ours: run(c, env)[0],
        })
        rg, own = medians.values()
        say(f"  -> r2vfs has {rg / own:.2f} of rg's speed (aim: at least 0.5)")
    _, done = run([BIN, "-b", bucket, "--cache-dir", cache, "--stats", "grep", "-c", "the"], env)
    say("  " + next(l for l in done.stderr.decode().splitlines() if l.startswith("cost")))
    server.stop()


def latency(args, scratch):
    say("\nlatency: 5,000 objects, 30 ms added to each request, nothing cached, beside local disk")
    local = scratch / "made"
    server, env = loopback("--objects", 5000, "--delay-ms", 30)
    bucket = f"s3://{bucket_of(env)}"
    ours = [BIN, "-b", bucket, "--no-disk-cache", "grep", "-c", "needle 3"]
    for n in range(5000):
        path = local / f"made/{n % 100:03}/{n:07}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"object {n}\nneedle {n % 7}\n")
    medians = interleave(args.runs, {
        "r2vfs grep over S3": lambda: run(ours, env)[0],
        "r2vfs grep over the directory": lambda: run([BIN, "-b", local, "grep", "-c", "needle 3"])[0],
    })
    remote, here = medians.values()
    bound = 1.3 * (5000 / 64 * 0.030) + 5 * 0.030 + here
    say(f"  -> {remote:.2f} s; the bound of issue 2 is {bound:.2f} s")
    server.stop()


def seaweed(args):
    endpoint = subprocess.run([ROOT / ".ci/seaweedfs", "start"], stdout=subprocess.PIPE, check=True,
                              text=True).stdout.strip()
    return endpoint


def rclone(endpoint, scratch, name):
    config = scratch / f"rclone-{name}.conf"
    config.write_text(f"[s]\ntype = s3\nprovider = Other\nendpoint = {endpoint}\n"
                      "access_key_id = testak\nsecret_access_key = testsk\nregion = us-east-1\n"
                      "force_path_style = true\n")
    env = {k: v for k, v in os.environ.items() if k != "AWS_CA_BUNDLE"}
    return lambda *words: run(["rclone", "--config", config, *map(str, words)], env)[0]


def sync(args, scratch):
    if not shutil.which("rclone"):
        return say("\nsync: left out, rclone is not installed")
    say("\nsync: first grep of a new process on SeaweedFS, 30 ms added round trip, beside rclone sync")
    endpoint = seaweed(args)
    direct = rclone(endpoint, scratch, "direct")
    direct("mkdir", "s:kbase")
    direct("copy", "--transfers", 16, args.corpus, "s:kbase")
    proxy = Program(TARGET / "release/examples/delay-proxy", "--to", endpoint.removeprefix("http://"))
    through = rclone(proxy.said[0], scratch, "proxy")
    env = {**os.environ, **KEYS, "AWS_ENDPOINT_URL_S3": proxy.said[0]}

    def copy(*flags):
        into = tempfile.mkdtemp(dir=scratch)
        seconds = through("sync", "--transfers", 32, *flags, "s:kbase", into)
        shutil.rmtree(into)
        return seconds

    medians = interleave(args.runs, {
        "rclone sync --transfers 32": copy,
        "rclone sync --transfers 32 --fast-list": lambda: copy("--fast-list"),
        "r2vfs grep -c memory_limiter": grep(env, "memory_limiter", "--no-disk-cache"),
    })
    plain, fast, own = medians.values()
    say(f"  -> r2vfs takes {own / plain:.2f} and {own / fast:.2f} of the sync alone (aim: at most 0.5)")
    _, done = run([BIN, "-b", "s3://kbase", "--no-disk-cache", "--stats", "grep", "-c", "memory_limiter"], env)
    say("  " + next(l for l in done.stderr.decode().splitlines() if l.startswith("cost")))
    proxy.stop()
    if "mounts" in args.only:
        mounts(args, scratch, endpoint)
    subprocess.run([ROOT / ".ci/seaweedfs", "stop"], check=True)


def mounts(args, scratch, endpoint):
    if not os.path.exists("/dev/fuse"):
        return say("\nmounts: left out, there is no FUSE here")
    say("\nmounts: the same server without the added delay, rg over a mount, beside r2vfs")
    env = {**os.environ, **KEYS, "AWS_ENDPOINT_URL_S3": endpoint}
    contenders = {"r2vfs grep (nothing cached)": grep(env, "memory_limiter", "--no-disk-cache")}
    clean = {k: v for k, v in os.environ.items() if k != "AWS_CA_BUNDLE"}

    def mounted(start):
        def once():
            point = tempfile.mkdtemp(dir=scratch)
            process = subprocess.Popen([str(word).replace("POINT", point) for word in start], env=clean,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(200):
                if os.path.ismount(point):
                    break
                time.sleep(0.05)
            else:
                process.kill()
                return float("nan")
            seconds = run(["rg", "--no-config", "-uu", "-c", "memory_limiter", point])[0]
            subprocess.run(["fusermount", "-u", point], check=False)
            process.wait(20)
            return seconds
        return once

    if shutil.which("rclone"):
        contenders["rclone mount + rg, cold"] = mounted(
            ["rclone", "--config", scratch / "rclone-direct.conf", "mount", "s:kbase", "POINT"])
    if shutil.which("s3fs"):
        keys = scratch / "s3fs.keys"
        keys.write_text("testak:testsk\n")
        keys.chmod(0o600)
        contenders["s3fs + rg, cold"] = mounted(
            ["s3fs", "kbase", "POINT", "-f", "-o", f"url={endpoint}", "-o", "use_path_request_style",
             "-o", f"passwd_file={keys}"])
    interleave(min(args.runs, 3), contenders)


def memory(args, scratch):
    say("\nmemory: the largest resident set of a grep, with a memory cache of 16 MiB")
    large = scratch / "large"
    large.mkdir()
    block = b"".join(b"2026-11-24T00:00:%02d line of a long log, number %06d\n" % (n % 60, n) for n in range(20000))
    with open(large / "log.txt", "wb") as out:
        for _ in range(1024 * 1024 * 1024 // len(block) + 1):
            out.write(block)
    for name, arguments in {
        "1 GiB object, every line matches": ["--dir", large],
        "100,000 objects": ["--objects", 100000],
    }.items():
        server, env = loopback(*arguments)
        bucket = f"s3://{bucket_of(env)}"
        command = [BIN, "-b", bucket, "--no-disk-cache", "--memory-cache", "16MiB", "grep", "o"]
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.execve(BIN, [str(word) for word in command], env)
        _, status, usage = os.wait4(pid, 0)
        say(f"  {name:<46} {usage.ru_maxrss / 1024:8.1f} MiB, exit code {os.waitstatus_to_exitcode(status)}")
        server.stop()
    shutil.rmtree(large)


def main():
    parts = {"cached": cached, "latency": latency, "sync": sync, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True, type=pathlib.Path, help="a directory of text files")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="cached,latency,sync,mounts,memory",
                        type=lambda text: text.split(","))
    parser.add_argument("--no-build", dest="build", action="store_false",
                        help="measure the programs as they are")
    args = parser.parse_args()
    args.corpus = args.corpus.resolve()
    if args.build:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--bin", "r2vfs",
                        "--example", "s3-loopback", "--example", "delay-proxy"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="r2vfs-compare-") as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        for name, part in parts.items():
            if name in args.only:
                part(args, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
