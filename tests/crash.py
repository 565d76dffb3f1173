"""The crash test: a server is killed again and again under load, and nothing acknowledged may be lost.

    python -m tests.crash --kills 200

Clients submit background jobs, to be run at once and later, workers run them, and all come back whenever
the server does. In the end every job that was acknowledged must have been run. A job may be run more than
once: how many were is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import sysconfig
import tempfile
import time
from collections import Counter, deque
from contextlib import closing, suppress
from pathlib import Path

from gearcore._codec import Packet, Parser, pack_request
from gearcore.protocol import RESPONSE_MAGIC
from gearcore.protocol import PacketType as P

GEARCORED = Path(sysconfig.get_path("scripts"), "gearcored")
FUNCTIONS = (b"one", b"two")
IN_FLIGHT = 32
"""Submissions that a client makes before it waits for acknowledgements."""

PATIENCE = 60.0
"""Seconds for anything that should not take long."""


class Lost(Exception):
    """The promise was broken, or the server does not serve."""


class Trial:
    """One server, its clients and workers, and what became of each job."""

    def __init__(self, store: Path, seed: int) -> None:
        self.store = store
        self.chance = random.Random(seed)
        self.port = 0
        self.acknowledged: set[bytes] = set()
        self.runs: Counter[bytes] = Counter()
        self.submitted = 0
        self.refused = 0
        self.submitting = True
        self.server: asyncio.subprocess.Process

    async def start_server(self) -> None:
        """Start the server on the port that it had before, and return when it listens."""
        self.server = await asyncio.create_subprocess_exec(
            GEARCORED, "-L", "127.0.0.1", "-p", str(self.port), "--store", f"sqlite:{self.store}",
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self.server.stderr is not None
        said = b""
        async with asyncio.timeout(PATIENCE):
            while b"listening on" not in said:
                line = await self.server.stderr.readline()
                if not line:
                    raise Lost(f"the server does not start: {said.decode()}")
                said += line
        self.port = int(said.rsplit(b":", 1)[1])

    async def kill_server(self) -> None:
        self.server.kill()
        await self.server.communicate()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Parser]:
        while True:
            with suppress(OSError):
                return *await asyncio.open_connection("127.0.0.1", self.port), Parser(expect=RESPONSE_MAGIC)
            await asyncio.sleep(0.02)

    async def client(self, name: int) -> None:
        """Submit jobs, each with a workload of its own, and note which are acknowledged."""
        while self.submitting:
            reader, writer, parser = await self.connect()
            waiting: deque[bytes] = deque()
            with suppress(OSError), closing(writer):
                while self.submitting or waiting:
                    while self.submitting and len(waiting) < IN_FLIGHT:
                        self.submitted += 1
                        workload = b"%d-%d" % (name, self.submitted)
                        waiting.append(workload)
                        writer.write(self.submission(workload))
                    data = await reader.read(65536)
                    if not data:
                        break
                    for packet in parser.feed(data):
                        assert isinstance(packet, Packet)
                        if packet.type == P.JOB_CREATED:
                            self.acknowledged.add(waiting.popleft())
                        else:
                            assert packet.type == P.ERROR, packet
                            waiting.popleft()
                            self.refused += 1

    def submission(self, workload: bytes) -> bytes:
        function = self.chance.choice(FUNCTIONS)
        if self.chance.random() < 0.1:
            due = b"%d" % (time.time() + self.chance.choice([0, 1, 1]))
            return pack_request(P.SUBMIT_JOB_EPOCH, function, workload, due, workload)
        kind = self.chance.choice([P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_LOW_BG])
        return pack_request(kind, function, self.chance.choice([workload, b""]), workload)

    async def worker(self) -> None:
        """Run jobs: note them, and complete them."""
        while True:
            reader, writer, parser = await self.connect()
            with suppress(OSError), closing(writer):
                writer.write(b"".join(pack_request(P.CAN_DO, function) for function in FUNCTIONS))
                writer.write(pack_request(P.GRAB_JOB) * 4)
                while data := await reader.read(65536):
                    for packet in parser.feed(data):
                        assert isinstance(packet, Packet)
                        if packet.type == P.JOB_ASSIGN:
                            self.runs[packet.args[2]] += 1
                            writer.write(pack_request(P.WORK_COMPLETE, packet.args[0], b""))
                            writer.write(pack_request(P.GRAB_JOB))
                        elif packet.type == P.NO_JOB:
                            await asyncio.sleep(0.005)
                            writer.write(pack_request(P.GRAB_JOB))

    async def run(self, kills: int, clients: int = 4, workers: int = 3) -> None:
        """Kill the server so many times, then let the workers finish. Raises `Lost` when a job is missing."""
        await self.start_server()
        peers = [asyncio.create_task(self.worker()) for _ in range(workers)]
        submitters = [asyncio.create_task(self.client(number)) for number in range(clients)]
        try:
            for _ in range(kills):
                await asyncio.sleep(self.chance.uniform(0, 0.3))
                await self.kill_server()
                await self.start_server()
            self.submitting = False
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*submitters)
            give_up = time.monotonic() + PATIENCE
            while self.acknowledged - self.runs.keys() and time.monotonic() < give_up:
                await asyncio.sleep(0.1)
        finally:
            for task in (*peers, *submitters):
                task.cancel()
            for ended in await asyncio.gather(*peers, *submitters, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended
            await self.kill_server()
        missing = self.acknowledged - self.runs.keys()
        if missing:
            raise Lost(f"{len(missing)} jobs that were acknowledged were never run: {sorted(missing)[:5]}")

    def __str__(self) -> str:
        twice = sum(1 for count in self.runs.values() if count > 1)
        return (
            f"{len(self.acknowledged)} jobs acknowledged of {self.submitted} submitted,"
            f" {self.refused} refused; {len(self.runs)} run, none missing, {twice} more than once"
        )


def main() -> None:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description="Kill a server under load and see whether it loses a job.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each connection that a kill ended
    with tempfile.TemporaryDirectory(prefix="crash-") as directory:
        trial = Trial(Path(directory, "queue"), given.seed)
        began = time.monotonic()
        try:
            asyncio.run(trial.run(given.kills))
        except Lost as lost:
            sys.exit(f"seed {given.seed}: {lost}")
    print(f"{given.kills} kills in {time.monotonic() - began:.0f} s, seed {given.seed}: {trial}")


if __name__ == "__main__":
    main()
