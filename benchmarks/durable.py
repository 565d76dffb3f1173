"""Durable queues next to gearmand's: ``python -m benchmarks.durable``, on a quiet machine.

Background jobs are submitted (c=4 d=64) and worked off (w=4) with every server in turn: gearmand with
libsqlite3, gearcore in memory, gearcore with a store. Each has a unique id of its own, since gearmand keeps
all jobs without one in the same row; then gearcore alone takes jobs without ids, which cost memory the least.
At the end a million jobs are stored, and read at a start.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server.build import build
from benchmarks.server.servers import find_gearmand, wait_until_it_listens

SUBMIT = "submit"
SUBMIT_PLAIN = "submit, no ids"
DRAIN = "drain"

GEARCORED = [sys.executable, "-c", "from gearcore.cli.gearcored import main; main()"]


@contextmanager
def serving(name: str, directory: Path, log: Path) -> Iterator[tuple[int, int]]:
    """A server as it is called here: its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    common = ["-L", "127.0.0.1", "-p", str(port), "-P", str(directory / "pid")]
    gearmand = ["-q", "libsqlite3", f"--libsqlite3-db={directory / 'gearmand'}", "-l", "none"]
    command = {
        "gearmand": [find_gearmand() or "gearmand", *common, *gearmand],
        "memory": [*GEARCORED, *common, "-l", str(log)],
        "store": [*GEARCORED, *common, "-l", str(log), "--store", f"sqlite:{directory / 'store'}"],
    }[name]
    process = subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE)
    try:
        wait_until_it_listens(name, port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.communicate(timeout=60)


def load(loadgen: Path, port: int, pid: int, *words: str) -> dict[str, float]:
    """One load, and what loadgen says of it."""
    command = [str(loadgen), "127.0.0.1", str(port), str(pid), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description="Measure durable queues.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=300_000, help="for gearcore")
    parser.add_argument("--gearmand-jobs", type=int, default=3000)
    parser.add_argument("--replayed", type=int, default=1_000_000)
    given = parser.parse_args()
    loadgen = build().loadgen
    figures: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="durable-", dir=os.environ.get("TMPDIR")) as scratch:
        for number in range(given.rounds):
            for name in ("gearmand", "memory", "store"):
                jobs = given.gearmand_jobs if name == "gearmand" else given.jobs
                for shapes in shapes_for(name, jobs):
                    directory = Path(scratch, f"{name}-{number}-{len(shapes)}")
                    directory.mkdir()
                    with serving(name, directory, directory / "log") as (port, pid):
                        for mode, shape in shapes.items():
                            result = load(loadgen, port, pid, *shape.split())
                            figures.setdefault((name, mode), []).append(result["ops_per_s"])
                            print(f"{mode:15}{name:9}{result['ops_per_s']:>12,.0f}", flush=True)
        best = {key: max(values) for key, values in figures.items()}  # other work only makes it slower
        print("best, in jobs a second")
        for (name, mode), value in best.items():
            print(f"{mode:15}{name:9}{value:>12,.0f}")
        for mode in (SUBMIT, SUBMIT_PLAIN, DRAIN):
            stored = best["store", mode]
            of_memory = f"{stored / best['memory', mode]:.0%} of memory only"
            if ("gearmand", mode) in best:
                print(f"{mode}: {stored / best['gearmand', mode]:.0f} times gearmand, {of_memory}")
            else:
                print(f"{mode}: {of_memory}")
        if given.replayed:
            print_replay(loadgen, given.replayed, Path(scratch, "replay"))


def shapes_for(name: str, jobs: int) -> Iterator[dict[str, str]]:
    """What is put to one server after the other of that name."""
    yield {SUBMIT: f"submit n={jobs} c=4 d=64 uniq=1", DRAIN: f"drain n={jobs} w=4"}
    if name != "gearmand":
        yield {SUBMIT_PLAIN: f"submit n={jobs} c=4 d=64"}


def print_replay(loadgen: Path, jobs: int, directory: Path) -> None:
    """Store jobs, and start a server with them."""
    directory.mkdir()
    log = directory / "log"
    with serving("store", directory, log) as (port, pid):
        load(loadgen, port, pid, "submit", f"n={jobs}", "c=4", "d=64")
    began = time.monotonic()
    with serving("store", directory, log) as (_, pid):
        took = time.monotonic() - began
        status = Path(f"/proc/{pid}/status").read_text()
    (said,) = re.findall(rf"({jobs} jobs from .* in [\d.]+ s)", log.read_text())
    anonymous = int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) * 1024
    print(f"replay: {said}; {took:.2f} s until it listens; {anonymous / jobs:.0f} bytes a job")


if __name__ == "__main__":
    main()
