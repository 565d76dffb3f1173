"""The server between the peers: gearcore.

With GEARCORE_INTEROP_SERVER=/usr/sbin/gearmand it is that program, which tells whose fault a failure is.
"""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from gearcore.server import Server
from interop.harness import PATIENCE, eventually


@contextmanager
def running_server() -> Iterator[int]:
    """A server, by its port."""
    command = os.environ.get("GEARCORE_INTEROP_SERVER")
    if command is None:
        with Server(port=0) as server:
            yield server.port
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        # gearmand removes its pid file when it ends: run by root it would remove even /dev/null.
        options = ["-L", "127.0.0.1", "-p", str(port), "-l", "none", "-P", f"{folder}/pid"]
        process = subprocess.Popen([command, *options])
        try:
            eventually(lambda: accepts(port), True)
            yield port
        finally:
            process.kill()
            process.wait()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True
