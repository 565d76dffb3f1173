"""Measure what a second core could give.

python -m benchmarks.cores shares [SHAPES]   who is the limit: processor time of the server and of the load
python -m benchmarks.cores two               two servers with half of the load each, against one
python -m benchmarks.cores tls               a job over TLS and without, in either event loop
python -m benchmarks.cores burst             200 TLS handshakes at once, beside a plain peer
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cores.burst import burst, handshake
from benchmarks.cores.served import make_certificate, serve
from benchmarks.server.build import ROOT, build
from benchmarks.server.servers import GEARCORE, start
from benchmarks.server.shapes import chains, choose

ROUNDS = 5
BUILD = ROOT / "build" / "benchmarks"
SHAPES = "echo,submit,drain,submit_1k,fg_4x16,fg_serial,fg_50x50,fg_g8,stream_4x4,fg_64k,fg_1M,coalesce"
JOBS = ("foreground n=20000 c=4 w=4 d=16", "foreground n=5000 c=1 w=1 d=1", "echo n=100000 c=4 d=64")


def load(port: int, pid: int, words: Sequence[str], preload: Path | None = None) -> subprocess.Popen[str]:
    """Start loadgen."""
    environment = os.environ if preload is None else {**os.environ, "LD_PRELOAD": str(preload)}
    command = [str(BUILD / "loadgen"), "127.0.0.1", str(port), str(pid), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What loadgen found."""
    said = process.communicate()[0]
    if process.returncode:
        raise SystemExit(process.returncode)
    figures: dict[str, Any] = json.loads(said)
    return figures


def times() -> tuple[float, float]:
    """Processor seconds of the processes that have ended: the programs' own, and the kernel's for them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime


def server_ticks(pid: int) -> tuple[int, int]:
    """The same of a server that runs, in ticks of the clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]), int(fields[12])


def shares(names: str = SHAPES) -> None:
    """Print for each shape what the server and what loadgen use of a core."""
    for chain in chains(choose(names.split(","))):
        with start(GEARCORE) as server:
            for shape in chain:
                before, own = server_ticks(server.pid), sum(times())
                figures = result(load(server.port, server.pid, shape.words(1, None, False)))
                user, kernel = (b - a for a, b in zip(before, server_ticks(server.pid), strict=True))
                per_operation = figures["server_cpu_us_per_op"]
                print(
                    f"{shape.name:12} {figures['ops_per_s']:>9,} ops/s  server {per_operation:7.2f} us/op,"
                    f" {figures['ops_per_s'] * per_operation / 1e4:3.0f} % of a core,"
                    f" {100 * kernel / max(user + kernel, 1):3.0f} % of it kernel;"
                    f" load {(sum(times()) - own) * 1e6 / figures['ops']:7.2f} us/op",
                    flush=True,
                )


def two() -> None:
    """Print jobs per second and processor time: two loads on one server, and on a server each."""
    words = ["foreground", "n=100000", "c=4", "w=4", "d=16"]
    for servers in (1, 2, 1, 2, 1, 2):
        with ExitStack() as stack:
            started = [stack.enter_context(start(GEARCORE)) for _ in range(servers)]
            ticks = sum(sum(server_ticks(one.pid)) for one in started)
            loads = [load(started[i % servers].port, 0, words) for i in range(2)]
            found = [result(one) for one in loads]
            ticks = sum(sum(server_ticks(one.pid)) for one in started) - ticks
        jobs = sum(one["ops"] for one in found)
        print(
            f"{servers} server(s): {jobs / max(one['seconds'] for one in found):,.0f} jobs/s,"
            f" {ticks / os.sysconf('SC_CLK_TCK') * 1e6 / jobs:.2f} us/job",
            flush=True,
        )


def tls() -> None:
    """Print the server's processor time for a job, over TLS and without, in either event loop."""
    preload = BUILD / "tls.so"
    source = Path(__file__).with_name("tls.c")
    compiler = [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", str(preload), str(source)]
    subprocess.run([*compiler, "-ldl", "-lssl", "-lcrypto"], check=True)
    for words in JOBS:
        for kind in ("plain", "tls"):
            for loop in ("direct", "uvloop"):
                with serve(loop, BUILD) as served:
                    port, shim = (served.tls, preload) if kind == "tls" else (served.plain, None)
                    found = [result(load(port, served.pid, words.split(), shim)) for _ in range(ROUNDS)]
                used = sorted(one["server_cpu_us_per_op"] for one in found)
                print(
                    f"{words:35} {kind:6} {loop:7} {median(used):7.2f} us/op ({used[0]}-{used[-1]})",
                    flush=True,
                )


def bursts() -> None:
    """Print what a handshake takes in OpenSSL, and what 200 at once do to a plain peer."""
    for key in ("ec", "rsa:2048"):
        print(f"{key}: {handshake(make_certificate(BUILD, key)):.0f} us in OpenSSL", flush=True)
        for loop in ("direct", "uvloop"):
            with serve(loop, BUILD, key) as served:
                found = [burst(served, 200) for _ in range(ROUNDS)]
            figures = {name: median(one[name] for one in found) for name in found[0]}
            print(key, loop, *(f"{name} {value:.2f}" for name, value in figures.items()), flush=True)


def main(words: Sequence[str]) -> None:
    """Do what the command line asks for."""
    commands = {"shares": shares, "two": two, "tls": tls, "burst": bursts}
    if not words or words[0] not in commands:
        raise SystemExit(__doc__)
    if shutil.which("openssl") is None:
        raise SystemExit("there is no openssl")
    build()
    commands[words[0]](*words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
