"""Whether this machine can be trusted with a measurement, and what it is."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from pathlib import Path
from statistics import quantiles

from benchmarks.server.servers import find_gearmand

__all__ = ["allow_descriptors", "complaints", "describe"]

MOST_SCATTER = 0.15


def complaints() -> list[str]:
    """Why the figures of a run that starts now are not to be trusted, in one line each."""
    said = []
    processors = os.cpu_count() or 1
    load = os.getloadavg()[0]
    if load > processors / 2:
        said.append(f"the machine is busy: its load average is {load:.2f}, with {processors} processors")
    scatter = scatter_of_a_loop()
    if scatter > MOST_SCATTER:
        said.append(
            f"timings scatter: the same loop takes up to {scatter:.0%} longer from one time to the next"
        )
    return said


def scatter_of_a_loop() -> float:
    """How much longer than the shortest time the slow tenth of the runs of a loop takes, as a share of it."""
    timings = []
    for _ in range(40):
        start = time.perf_counter()
        sum(range(200_000))
        timings.append(time.perf_counter() - start)
    return quantiles(timings, n=10)[-1] / min(timings) - 1


def allow_descriptors(wanted: int) -> int:
    """Raise the limit of open files to what is wanted, or to the hard limit; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit, soft)


def describe() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    return {
        "processor": processor(),
        "processors": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "gearmand": gearmand_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def gearmand_version() -> str:
    """The version of gearmand, or that there is none."""
    gearmand = find_gearmand()
    if gearmand is None:
        return "not installed"
    told = subprocess.run([gearmand, "--version"], capture_output=True, text=True).stdout.split()
    return told[1] if len(told) > 1 else "unknown"
