"""The programs in C, compiled when they are needed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CannotBuild", "Programs", "build"]

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "benchmarks" / "load"
FLAGS = ["-O2", "-Wall", "-Wextra"]
PARTS = {
    "loadgen": ["loadgen.c", "connection.c", "options.c", "process.c", "report.c", "wire.c"],
    "floor": ["floor.c", "wire.c"],
}


class CannotBuild(Exception):
    """There is no C compiler, or it does not take the sources."""


@dataclass(frozen=True)
class Programs:
    """Where the compiled programs are."""

    loadgen: Path
    floor: Path


def build(directory: Path = ROOT / "build" / "benchmarks") -> Programs:
    """Compile what is missing or older than the sources."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        raise CannotBuild(f"there is no C compiler: {compiler[0]} was not found")
    directory.mkdir(parents=True, exist_ok=True)
    changed = max(path.stat().st_mtime for path in SOURCES.iterdir())
    for name, parts in PARTS.items():
        program = directory / name
        if program.exists() and program.stat().st_mtime > changed:
            continue
        # Whoever runs a program at this moment keeps the old one.
        fresh = directory / f"{name}.{os.getpid()}"
        command = [*compiler, *FLAGS, "-o", str(fresh), *(str(SOURCES / part) for part in parts)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), "it does not say why")
            raise CannotBuild(f"{name} does not compile: {said}")
        fresh.replace(program)
    return Programs(directory / "loadgen", directory / "floor")
