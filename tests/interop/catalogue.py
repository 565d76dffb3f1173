"""The foreign programs: how each is had, and what it can and cannot do.

A worker's functions, with the worker's prefix and a dot before each name:

    echo        the workload
    reverse     the workload, back to front
    fail        WORK_FAIL
    exception   WORK_EXCEPTION with "no: " and the workload
    data        the halves of the workload as WORK_DATA, and an empty result
    warning     the workload as WORK_WARNING, and "done"
    status      WORK_STATUS 3 of 4, and the workload
    unique      the job's unique id
    gate        WORK_STATUS 1 of 2, and when it can be read the content of the file that the workload names
"""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from interop.harness import Client, Event, Worker

SCRIPTS = Path(__file__).parent / "peers"

NPM_PACKAGE = "gearman@2.1.0"
GEAR_PACKAGE = "gear==0.16.0"
PYGEARMAN_PACKAGE = "pygearman==0.2.6"

MEGABYTE = 1 << 20


class Missing(Exception):
    """A peer is not installed; the text says what to do about it."""


@dataclass(frozen=True)
class Program:
    """A peer that is there."""

    version: str
    client: list[str]
    worker: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    name: str
    find: Callable[[], Program]
    """Raises `Missing`."""

    functions: frozenset[str]
    """The functions of its workers."""

    tells: Callable[[list[Event]], list[Event]]
    """What its clients tell of what the server sends."""

    largest_to_send: int = 32 * MEGABYTE
    largest_to_work: int = 32 * MEGABYTE
    """The largest workloads that its clients and workers carry in some seconds."""

    asks_status: bool = True
    """Whether its clients can ask for the state of a job."""

    sends_empty: bool = True
    """Whether its clients send a job without a workload: libgearman refuses to, and who calls it with it."""

    def client(self, port: int) -> Client:
        program = self.find()
        return Client([*program.client, str(port)], program.environment)

    def worker(self, port: int, prefix: str | None = None, *options: str) -> Worker:
        program = self.find()
        return Worker([*program.worker, str(port), prefix or self.name, *options], program.environment)

    def __str__(self) -> str:
        return self.name


def peers_folder() -> Path:
    """Where packages from registries are kept, and what is compiled."""
    folder = os.environ.get("GEARCORE_PEERS_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(folder) if folder else cache / "gearcore" / "peers"


def find_command(command: str, package: str) -> str:
    path = shutil.which(command)
    if path is None:
        raise Missing(f"{command} is not installed: apt-get install {package}")
    return path


def may_install() -> bool:
    """Whether packages may be had from registries: a plain run of the tests needs no network."""
    return any(os.environ.get(f"GEARCORE_{word}_PEERS") for word in ("INSTALL", "REQUIRE"))


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()


@functools.cache
def find_tools() -> Program:
    find_command("gearman", "gearman-tools")
    find_command("gearadmin", "gearman-tools")
    version = re.search(r"[\d.]+\S*", output_of("dpkg-query", "-W", "gearman-tools") or "")
    return Program(
        version[0] if version else "",
        client=[sys.executable, str(SCRIPTS / "tools_client.py")],
        worker=[sys.executable, str(SCRIPTS / "tools_worker.py")],
    )


@functools.cache
def find_perl() -> Program:
    perl = find_command("perl", "perl")
    version = output_of(perl, "-MGearman::Client", "-e", "print Gearman::Client->VERSION")
    if not version:
        raise Missing("Gearman::Client is not installed: apt-get install libgearman-client-perl")
    return Program(version, [perl, str(SCRIPTS / "client.pl")], [perl, str(SCRIPTS / "worker.pl")])


@functools.cache
def find_php() -> Program:
    php = find_command("php", "php8.2-cli php8.2-gearman")
    version = output_of(php, "-r", "echo phpversion('gearman') ?: '';")
    if not version:
        raise Missing("PHP's extension gearman is not installed: apt-get install php8.2-gearman")
    return Program(version, [php, str(SCRIPTS / "client.php")], [php, str(SCRIPTS / "worker.php")])


@functools.cache
def find_libgearman() -> Program:
    compiler = find_command("cc", "gcc libgearman-dev")
    source = SCRIPTS / "peer.c"
    program = peers_folder() / "libgearman-peer"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        built = program.with_suffix(f".{os.getpid()}")
        flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1"]
        command = [compiler, *flags, "-o", str(built), str(source), "-lgearman"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if "libgearman/gearman.h: No such file" in done.stderr:
            raise Missing("libgearman's headers are not installed: apt-get install libgearman-dev")
        if done.returncode:
            raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
        built.replace(program)
    version = output_of(str(program), "version")
    return Program(version, [str(program), "client"], [str(program), "worker"])


@functools.cache
def find_npm() -> Program:
    node = find_command("node", "nodejs npm")
    folder = peers_folder() / "npm"
    package = folder / "node_modules" / "gearman" / "package.json"
    if not package.exists():
        install = [find_command("npm", "npm"), "install", "--prefix", str(folder), NPM_PACKAGE]
        options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        install_from_registry(NPM_PACKAGE, folder, [*install, *options])
    version = json.loads(package.read_text())["version"]
    environment = {"NODE_PATH": str(folder / "node_modules")}
    return Program(
        version, [node, str(SCRIPTS / "client.js")], [node, str(SCRIPTS / "worker.js")], environment
    )


def find_python(requirement: str) -> Program:
    """A package of PyPI, in a virtual environment of its own: two of them have the same module name."""
    name, version = requirement.split("==")
    folder = peers_folder() / name
    python = folder / "bin" / "python"
    mark = folder / f"installed-{version}"
    if not mark.exists():
        install = [str(python), "-m", "pip", "install", "--quiet", requirement]
        install_from_registry(requirement, folder, [sys.executable, "-m", "venv", str(folder)], install)
        mark.touch()
    return Program(
        version,
        [str(python), str(SCRIPTS / f"{name}_client.py")],
        [str(python), str(SCRIPTS / f"{name}_worker.py")],
    )


@functools.cache
def find_gear() -> Program:
    return find_python(GEAR_PACKAGE)


@functools.cache
def find_pygearman() -> Program:
    return find_python(PYGEARMAN_PACKAGE)


def install_from_registry(package: str, folder: Path, *commands: list[str]) -> None:
    if not may_install():
        raise Missing(f"{package} is not installed: python tests/interop installs it in its cache")
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Missing(f"{package} cannot be installed: {done.stderr.strip().splitlines()[-1:]}")


def tell_all(events: list[Event]) -> list[Event]:
    return events


def tell_output(events: list[Event]) -> list[Event]:
    """What the command prints: data and result in one stream, then the progress, which it holds back."""
    if events[-1].name in ("exception", "fail"):
        # It does not ask for exceptions: the server makes failures of them.
        return [Event("fail")]
    warnings = [event for event in events if event.name == "warning"]
    printed = [event.body for event in events if event.name in ("data", "complete")]
    printed += [percent_of(event) for event in events if event.name == "status"]
    return [*warnings, Event("complete", b"".join(printed))]


def percent_of(event: Event) -> bytes:
    numerator, denominator = map(int, event.body.split(b"/"))
    return b"%d%% Complete\n" % (100 * numerator // denominator)


def tell_no_exceptions(events: list[Event]) -> list[Event]:
    """A client that does not set the option: the server makes a failure of an exception."""
    return [Event("fail") if event.name == "exception" else event for event in events]


COMMON = frozenset({"echo", "reverse", "fail", "exception", "data", "warning", "status", "gate"})

PEERS = [
    Peer(
        "tools",
        find_tools,
        frozenset({"echo", "reverse", "fail"}),
        tell_output,
        largest_to_send=2 * MEGABYTE,
        largest_to_work=2 * MEGABYTE,
        asks_status=False,
    ),
    Peer("perl", find_perl, COMMON, tell_all),
    Peer("php", find_php, COMMON | {"unique"}, tell_all, sends_empty=False),
    Peer("libgearman", find_libgearman, COMMON | {"unique"}, tell_all, sends_empty=False),
    Peer(
        "npm",
        find_npm,
        COMMON | {"unique"},
        tell_all,
        largest_to_send=16 * MEGABYTE,
        largest_to_work=16 * MEGABYTE,
    ),
    Peer(
        "gear",
        find_gear,
        COMMON | {"unique"},
        tell_all,
        largest_to_send=4 * MEGABYTE,
        largest_to_work=4 * MEGABYTE,
        asks_status=False,
    ),
    Peer("pygearman", find_pygearman, COMMON | {"unique"}, tell_no_exceptions),
]

TOOLS, PERL, PHP, LIBGEARMAN, NPM, GEAR, PYGEARMAN = PEERS


def counts_for(client: Peer, worker: Peer) -> list[pytest.MarkDecorator]:
    """The marks of a test of two peers: it needs both, and counts for each."""
    return [pytest.mark.peer(client, "client"), pytest.mark.peer(worker, "worker")]
