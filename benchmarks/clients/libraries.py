"""The libraries that are compared: where they come from, and how their adapters are run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients.lines import Kind
from benchmarks.server.build import FLAGS, ROOT, Programs

__all__ = [
    "GEARCORES",
    "LIBGEARMAN",
    "LIBRARIES",
    "LIMIT",
    "OTHER_PYTHON",
    "CannotHave",
    "Library",
    "choose",
    "prepare",
]

ADAPTERS = Path(__file__).parent / "adapters"
BUILD = ROOT / "build" / "benchmarks"

LIBGEARMAN, LIMIT = "libgearman", "limit"


class CannotHave(Exception):
    """A library that cannot be installed or compiled here."""


@dataclass(frozen=True)
class Library:
    """A client and worker library."""

    name: str
    adapter: str = ""
    requirement: str = ""
    """What is installed for it, into an environment of its own."""
    lacks: tuple[Kind, ...] = ()


LIBRARIES: Sequence[Library] = (
    Library(LIBGEARMAN, "libgearman.c", lacks=(Kind.PREFETCH,)),
    Library("pygearman", "gearman_family.py", "pygearman==0.2.6", (Kind.PREFETCH,)),
    Library("python3-gearman", "gearman_family.py", "python3-gearman==0.1.0", (Kind.PREFETCH,)),
    Library("gear", "gear_threads.py", "gear==0.16.0", (Kind.PREFETCH, Kind.SUBMIT_MANY)),
    Library("aiogear", "aiogear_asyncio.py", "aiogear==0.2.6", (Kind.PREFETCH,)),
    Library("compat.gearman", "gearman_family.py", lacks=(Kind.PREFETCH,)),
    Library("compat.gear", "gear_threads.py", lacks=(Kind.PREFETCH, Kind.SUBMIT_MANY)),
    Library("gearcore", "gearcore_blocking.py"),
    Library("gearcore.aio", "gearcore_asyncio.py"),
    Library(LIMIT),
)
"""The last is loadgen, which does the same and knows nothing of jobs: more than it does the server does not
allow."""

GEARCORES = ("gearcore", "gearcore.aio")
OTHER_PYTHON = tuple(library.name for library in LIBRARIES if library.requirement)


def choose(names: Sequence[str]) -> list[Library]:
    """The libraries of these names; all if there is none. Raises KeyError for a name that there is not."""
    known = {library.name: library for library in LIBRARIES}
    return [known[name] for name in names] or list(LIBRARIES)


def prepare(library: Library, programs: Programs) -> list[str]:
    """Install or compile what a library needs; returns the command that runs its adapter."""
    if library.name == LIMIT:
        return [str(programs.loadgen)]
    adapter = ADAPTERS / library.adapter
    if adapter.suffix == ".c":
        return [str(compile_adapter(adapter))]
    python = environment(library) if library.requirement else Path(sys.executable)
    return [str(python), str(adapter)]


def compile_adapter(source: Path) -> Path:
    """Compile an adapter in C, unless that was done."""
    program = BUILD / source.stem
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        raise CannotHave(f"there is no C compiler: {compiler[0]} was not found")
    BUILD.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(f".{os.getpid()}")
    command = [*compiler, *FLAGS, "-o", str(fresh), str(source), "-lgearman"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), "it does not say why")
        raise CannotHave(f"its adapter does not compile (Debian's package libgearman-dev): {said}")
    fresh.replace(program)
    return program


def environment(library: Library) -> Path:
    """Install a library into an environment of its own, unless that was done; returns the interpreter."""
    directory = BUILD / f"venv-{library.name}"
    python = directory / "bin" / "python"
    stamp = directory / "installed"
    content = f"{library.requirement} for {sys.executable}\n"
    if stamp.exists() and stamp.read_text() == content:
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(directory)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", library.requirement],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["it does not say why"]
            raise CannotHave(f"{library.requirement} cannot be installed: {said[-1]}")
    stamp.write_text(content)
    return python
