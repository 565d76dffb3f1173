"""A server with a plain and a TLS port, in a process of its own, and the processor time of its threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Served", "cpu_seconds", "make_certificate", "serve"]

PROGRAM = """
import asyncio, sys
from gearcore.server import Server, TcpListener, TlsFiles
from gearcore.server.loop import new_event_loop

kind, certificate = sys.argv[1:]
server = Server(listeners=[TcpListener("127.0.0.1", 0, TlsFiles(certificate=certificate))], port=0)
server.new_event_loop = {
    "chosen": server.new_event_loop,
    "uvloop": lambda: new_event_loop(False),
    "direct": lambda: new_event_loop(True),
}[kind]
server.run(lambda server: print(*(port for _, port in server.addresses), flush=True))
"""


@dataclass(frozen=True)
class Served:
    """A server that listens."""

    pid: int
    plain: int
    tls: int


def make_certificate(directory: Path, kind: str) -> Path:
    """A certificate with its key, in one file; ``kind`` is what OpenSSL calls the key's."""
    path = directory / f"{kind.replace(':', '')}.pem"
    if not path.exists():
        words = ["-newkey", kind] + (["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else [])
        made = subprocess.run(
            ["openssl", "req", "-x509", *words, "-noenc", "-subj", "/CN=bench", "-keyout", "-", "-out", "-"],
            capture_output=True,
            check=True,
        )
        path.write_bytes(made.stdout)
    return path


@contextmanager
def serve(loop: str, scratch: Path, key: str = "ec") -> Iterator[Served]:
    """Serve as long as the context, in the event loop ``chosen`` by the server, or in one of the two."""
    certificate = make_certificate(scratch, key)
    words = [sys.executable, "-P", "-c", PROGRAM, loop, str(certificate)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            plain, tls = map(int, process.stdout.readline().split())
            yield Served(process.pid, plain, tls)
        finally:
            process.terminate()


def cpu_seconds(pid: int) -> float:
    """What the threads of a process have used so far."""
    return (
        sum(
            int((thread / "schedstat").read_text().split()[0])
            for thread in Path(f"/proc/{pid}/task").iterdir()
        )
        / 1e9
    )
