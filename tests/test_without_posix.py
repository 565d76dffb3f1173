"""gearcore where there is nothing of Unix, as on Windows: what works, and what says that it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import PATIENCE

TESTS = Path(__file__).parent

EVERY_MODULE = """
import importlib, pkgutil, gearcore
for module in pkgutil.walk_packages(gearcore.__path__, "gearcore."):
    # Of Unix by their nature: epoll, and what makes a process a daemon.
    of_unix = ("gearcore._direct", "gearcore.cli.process")
    if module.name not in of_unix and not module.name.endswith(".geard"):
        importlib.import_module(module.name)
print("all of them")
"""

BLOCKING = """
import threading
from gearcore import Client, Server, Worker

with Server(port=0) as server:
    address = f"127.0.0.1:{server.port}"
    worker = Worker(address, threads=2)
    worker.register("reverse", lambda job: job.workload[::-1])
    thread = threading.Thread(target=worker.run)
    thread.start()
    with Client(address) as client:
        print(client.submit("reverse", b"hello").result(timeout=20))
    worker.stop()
    thread.join()
"""

ASYNCIO = """
import asyncio
from gearcore import Server
from gearcore.aio import Client, Worker

async def main():
    async with Server(port=0) as server:
        address = f"127.0.0.1:{server.port}"
        worker = Worker(address)
        worker.register("reverse", lambda job: job.workload[::-1])
        working = asyncio.create_task(worker.run(install_signals=True))
        async with Client(address) as client:
            print(await (await client.submit("reverse", b"hello")).result(timeout=20))
        worker.stop()
        await working

asyncio.run(main())
"""

CLOSED_BY_ANOTHER = """
import threading
from gearcore import Client, ConnectionLost, Server

with Server(port=0) as server:
    client = Client(f"127.0.0.1:{server.port}")
    job = client.submit("nobody")
    threading.Timer(0.3, client.close).start()
    try:
        job.result(timeout=20)
    except ConnectionLost as error:
        print("lost")
"""

SIGNAL = """
import asyncio, signal, threading
from gearcore import Server, Worker
from gearcore.aio import Worker as AsyncWorker

with Server(port=0) as server:
    worker = Worker(f"127.0.0.1:{server.port}")
    worker.register("nothing", lambda job: None)
    threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
    worker.run(install_signals=True)

    worker = AsyncWorker(f"127.0.0.1:{server.port}")
    worker.register("nothing", lambda job: None)
    threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
    asyncio.run(worker.run(install_signals=True))
print("both ended")
"""

PROCESSES = """
from gearcore import Worker

try:
    Worker(processes=2)
except RuntimeError as error:
    print(error)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program where there is nothing of Unix."""
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import sys; sys.path.insert(0, {str(TESTS)!r})\nimport without_posix\n{program}",
        ],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
    )


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (EVERY_MODULE, "all of them"),
        (BLOCKING, "b'olleh'"),
        (ASYNCIO, "b'olleh'"),
        (CLOSED_BY_ANOTHER, "lost"),
        (SIGNAL, "both ended"),
        (PROCESSES, "this system cannot fork: use threads instead of processes"),
    ],
    ids=["every module", "blocking", "asyncio", "closed by another thread", "signals", "processes"],
)
def test_does(program, printed):
    done = run(program)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{printed}\n")


def test_gearcored_says_in_one_line_what_to_use_instead():
    done = run("from gearcore.cli.gearcored import main\nmain([])")
    assert done.returncode == 1
    assert done.stderr == "gearcored: it needs a Unix system: 'gearcore server' runs on this one too\n"
