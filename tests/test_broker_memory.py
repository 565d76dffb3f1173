"""A broker that runs out of memory: whoever asked for too much is cut off, and nobody else notices."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from gearcore.broker import Admin, Broker
from gearcore.server.loop import HAS_DIRECT_SOCKETS, DirectSockets

HERE = Path(__file__).parent


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, whose malloc can be replaced")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_any_allocation_may_fail(tmp_path):
    library = tmp_path / "starve.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "starve.c"], check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    }
    played = subprocess.run(
        [sys.executable, HERE / "starving.py"],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    counts = [int(line) for line in played.stdout.split()]
    assert len(counts) == 8
    assert min(counts[:6]) > 200
    assert min(counts[6:]) > 0


@contextmanager
def only(allocations):
    """Let Python itself make so many allocations, and no more."""
    testcapi = pytest.importorskip("_testcapi", reason="needs an interpreter with its own tests")
    testcapi.set_nomemory(allocations, 0)
    try:
        yield
    finally:
        testcapi.remove_mem_hooks()


class MallocInfo(ctypes.Structure):
    """What `mallinfo2` gives: ten sizes, of which the eighth is that of all that is in use."""

    _fields_ = (
        ("before", ctypes.c_size_t * 7),
        ("in_use", ctypes.c_size_t),
        ("behind", ctypes.c_size_t * 2),
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, which says how much is in use")
def test_a_connection_that_cannot_be_noted_leaves_nothing():
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = MallocInfo
    broker = Broker(Admin())
    failed = 0
    connections = []
    while failed < 2000:
        try:
            with only(1):
                connections.append(broker.connect())
        except MemoryError:
            failed += 1
            if failed == 1:
                before = library.mallinfo2().in_use
    assert library.mallinfo2().in_use - before < 100_000
    assert len(broker.connections) == len(connections)


@pytest.mark.skipif(not HAS_DIRECT_SOCKETS, reason="needs epoll")
def test_who_is_gone_is_still_told_when_there_was_no_memory_for_it():
    for allocations in range(8):
        broker = Broker(Admin())
        sockets = DirectSockets(broker)
        ours = []
        for _ in range(30):
            near, far = socket.socketpair()
            far.close()
            connection = broker.connect()
            sockets.add(connection, near.fileno())
            ours.append((connection, near))
        try:
            with only(allocations):
                gone = sockets.serve(0)
        except MemoryError:
            gone = sockets.serve(0)
        assert sorted(map(id, dict(gone))) == sorted(id(connection) for connection, _ in ours)
        for connection, near in ours:
            sockets.remove(connection)
            near.close()
            broker.disconnect(connection)
