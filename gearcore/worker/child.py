"""Running jobs in a process of a worker: the side of that process.

Parent and child speak Gearman's packets over a pair of sockets: the parent hands out a job as a server does,
and the child sends what a worker sends. Two packets have a meaning of their own: RESET_ABILITIES says that
the child ends after this job, and CANT_DO that the job is to go back to the server. A WORK_FAIL carries the
reason instead of the handle.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gearcore._codec import Packet, Parser, pack_request
from gearcore.protocol import RESPONSE_MAGIC, PacketType
from gearcore.session.worker import Assignment
from gearcore.worker.endings import Completed, Failed, GivenBack, Outcome, Raised
from gearcore.worker.functions import Function
from gearcore.worker.job import WorkerJob
from gearcore.worker.running import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

__all__ = ["serve"]


class Pipe:
    """The child's end: where the updates of its jobs go."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._ended = b""

    def send(self, packet_type: PacketType, handle: bytes, *args: Buffer) -> None:
        """Send an update of the job that runs."""
        if handle == self._ended:
            raise ValueError(f"job {handle.decode()} has ended")
        self._socket.sendall(pack_request(packet_type, handle, *args))

    def end(self, handle: bytes, outcome: Outcome, retire: bool) -> None:
        """Send how the job ended."""
        self._ended = handle
        data = pack_request(PacketType.RESET_ABILITIES) if retire else b""
        self._socket.sendall(data + _pack(handle, outcome))

    def __str__(self) -> str:
        return f"process {os.getpid()}"


def serve(
    sock: socket.socket,
    runner: Runner,
    functions: Mapping[bytes, Function],
    namespace_size: int,
    enough: Callable[[int], bool],
) -> None:
    """Run the jobs that come, until there are no more to come or ``enough`` of them were run."""
    pipe = Pipe(sock)
    parser = Parser(expect=RESPONSE_MAGIC)
    count = 0
    while data := sock.recv(256 * 1024):
        for packet in parser.feed(data):
            assert isinstance(packet, Packet)
            assignment = Assignment(*packet.args)
            function = functions.get(assignment.function)
            outcome = runner.run(WorkerJob(pipe, assignment, function, namespace_size))
            count += 1
            retire = enough(count)
            pipe.end(assignment.handle, outcome, retire)
            if retire:
                runner.close()
                return
    runner.close()


def make_enough(max_jobs: int | None, max_memory: int | None) -> Callable[[int], bool]:
    """What tells whether a process is to be replaced, after so many jobs."""

    def enough(jobs: int) -> bool:
        if max_jobs is not None and jobs >= max_jobs:
            return True
        return max_memory is not None and memory_in_use() > max_memory

    return enough


def memory_in_use() -> int:
    """Bytes of memory that this process takes; where the system does not tell, that it ever took."""
    try:
        resident = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    import resource

    return int(resident) * resource.getpagesize()


def _pack(handle: bytes, outcome: Outcome) -> bytes:
    if isinstance(outcome, Completed):
        return pack_request(PacketType.WORK_COMPLETE, handle, outcome.result)
    if isinstance(outcome, Failed):
        return pack_request(PacketType.WORK_FAIL, _bytes(outcome.reason))
    if isinstance(outcome, Raised):
        return pack_request(PacketType.WORK_EXCEPTION, handle, _bytes(outcome.text))
    assert isinstance(outcome, GivenBack)
    return pack_request(PacketType.CANT_DO, handle)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
