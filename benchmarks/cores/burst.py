"""TLS handshakes: what one takes in OpenSSL, and how long a plain peer waits while many are made."""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import time
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.cores.served import Served, cpu_seconds

__all__ = ["burst", "handshake"]

ECHO_REQUEST = b"\0REQ\0\0\0\x10\0\0\0\x01x"
HANDSHAKES = 500
PAUSE = 0.0003
"""Seconds between two round trips of the plain peer."""


def go_to_and_fro(port: int, pipe: Connection) -> None:
    """Make round trips until told to stop; sends when each began, and what it took."""
    trips = []
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe.send(None)
        while not pipe.poll():
            begun = time.monotonic()
            sock.sendall(ECHO_REQUEST)
            sock.recv(64)
            trips.append((begun, time.monotonic() - begun))
            time.sleep(PAUSE)
    pipe.send(trips)


def burst(served: Served, clients: int) -> dict[str, float]:
    """Have so many clients begin their handshakes together.

    Returns milliseconds: until the last has its answer, of the server's processor time for all of it, with
    the connecting, and what a plain peer's round trips took meanwhile, at the median and at most.
    """
    ours, theirs = multiprocessing.Pipe()
    peer = multiprocessing.Process(target=go_to_and_fro, args=(served.plain, theirs))
    peer.start()
    ours.recv()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hellos = []
    for _ in range(clients):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing, server_hostname="bench").do_handshake()
        hellos.append(outgoing.read())
    with ExitStack() as stack:
        cpu = cpu_seconds(served.pid)
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", served.tls))) for _ in range(clients)
        ]
        time.sleep(0.3)  # until the server has accepted them all
        begun = time.monotonic()
        for sock, hello in zip(socks, hellos, strict=True):
            sock.sendall(hello)
        for sock in socks:
            sock.recv(65536)
        ended = time.monotonic()
        cpu = cpu_seconds(served.pid) - cpu
        time.sleep(0.3)
        ours.send(None)
    trips = ours.recv()
    peer.join()
    waited = sorted(took for at, took in trips if at < ended and at + took > begun)
    return {
        "ms": (ended - begun) * 1e3,
        "cpu_ms": cpu * 1e3,
        "plain_p50_ms": waited[len(waited) // 2] * 1e3,
        "plain_max_ms": waited[-1] * 1e3,
        "quiet_max_ms": max(took for at, took in trips if at + took < begun) * 1e3,
    }


def handshake(certificate: Path) -> float:
    """Microseconds that OpenSSL takes for the server's part of a handshake."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    theirs.verify_mode = ssl.CERT_NONE
    taken = 0.0
    for _ in range(HANDSHAKES):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = theirs.wrap_bio(to_client, to_server)
        server = ours.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(2):
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
            begun = time.thread_time()
            with suppress(ssl.SSLWantReadError):
                server.do_handshake()
            taken += time.thread_time() - begun
    return taken / HANDSHAKES * 1e6
