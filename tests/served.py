"""A gearcored of a test, and what clients and workers do with it."""

import re
import socket
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path

from commands import (
    PATIENCE,
    listening,
    running,
)
from fake_server import Peer

from gearcore.protocol import PacketType as P


class Served:
    """A gearcored that listens."""

    def __init__(self, process: subprocess.Popen, ports: list[int]) -> None:
        self.process = process
        self.port, *self.other_ports = ports

    def peer(self) -> Peer:
        return Peer.connect(("127.0.0.1", self.port))

    def admin(self, line: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(line.encode() + b"\n")
            return connection.makefile("rb").readline()

    def limits(self, name: str) -> tuple[str, str]:
        """The soft and the hard limit of the process."""
        line = re.search(
            rf"^{name} +(\S+) +(\S+)", Path(f"/proc/{self.process.pid}/limits").read_text(), re.M
        )
        return line[1], line[2]

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait() == 0


@contextmanager
def serving(*options: str, ports: int = 1, before: int = 0, **popen):
    """A gearcored with some options, behind as many lines about its ports, and other lines before those."""
    with running("gearcored", "-p", "0", *options, **popen) as process:
        preface = [process.stderr.readline() for _ in range(before)]
        served = Served(process, [listening(process.stderr.readline()) for _ in range(ports)])
        served.preface = preface
        yield served


def submit(peer: Peer, function: bytes = b"f", type: P = P.SUBMIT_JOB) -> bytes:
    """Submit a job and return its handle."""
    peer.send(type, function, b"", b"")
    return peer.receive(P.JOB_CREATED)[0]


def grab(peer: Peer) -> tuple[bytes, ...] | None:
    """Grab a job: its handle, function and data."""
    peer.send(P.GRAB_JOB)
    return peer.receive(P.JOB_ASSIGN, P.NO_JOB) or None


def work(peer: Peer, *functions: bytes) -> None:
    """Offer functions, and return when the server knows it."""
    for function in functions:
        peer.send(P.CAN_DO, function)
    peer.send(P.ECHO_REQ, b"")
    peer.receive(P.ECHO_RES)


def run_and_vanish(served: Served) -> tuple[bytes, ...] | None:
    """Be a worker that takes a job, if there is one, and is gone."""
    with served.peer() as worker:
        work(worker, b"f")
        return grab(worker)


def version_over_tls(port: int, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(b"version\n")
        return connection.recv(100)
