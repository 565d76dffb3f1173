"""A conversation with a broker that runs out of memory: ``starve.c`` is preloaded, and fails an allocation.

Played again and again, with each of the broker's allocations failing in turn, and prints how many there were.
`test_broker_memory.py` runs it.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from fuzz.targets import balance, settle
from kept import Disk, KeptWorld
from world import Peer, World

from gearcore import _broker, _keeper
from gearcore._codec import pack_request
from gearcore.protocol import PacketType as P

LARGE = b"x" * 10_000
"""More than a buffer keeps when it is emptied, so that there is none the next time."""

SHARED = b"x" * 40_000
"""More than is copied if it can be shared."""

MAY_RAISE = {
    P.CAN_DO, P.CAN_DO_TIMEOUT, P.GRAB_JOB, P.SET_CLIENT_ID,
    P.SUBMIT_JOB, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_EPOCH,
}  # fmt: skip
"""Where something is to be kept for the peer that asks. What else fails would be no doing of the peer's."""

PLAYS = (
    ({}, False, None),
    ({}, True, None),
    ({"worker_wakeup": 0, "job_retries": 1}, False, None),
    ({"worker_wakeup": 1, "in_order_of_offer": True, "round_robin": True}, True, None),
    ({}, False, _broker),
    ({"job_retries": 1}, True, _broker),
    ({}, False, _keeper),
    ({"job_retries": 1}, True, _keeper),
)
"""The broker's rules, whether the allocations behind the one that fails fail as well, and, where there is a
store, whose allocations fail: the broker's, or those of its side of the store."""


def code_of(module: ModuleType) -> tuple[int, int]:
    """From where to where it lies in memory."""
    spans = [
        [int(address, 16) for address in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(module.__file__)) and "x" in line.split()[1]
    ]
    return min(start for start, _ in spans), max(end for _, end in spans)


class Memory:
    def __init__(self, module: ModuleType) -> None:
        self._library = ctypes.CDLL(None)
        self._library.starve.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]
        self._code = code_of(module)

    def fail(self, number: int, for_good: bool = False) -> None:
        """Let the module's allocation with that number fail, from here, and perhaps all that follow it."""
        self._library.starve(*self._code, number, for_good)

    @property
    def failed(self) -> bool:
        return self._library.has_starved() != 0


class Conversation:
    """Peers with names. One that is cut off is gone, and a new one comes in its place when it is needed."""

    def __init__(self, memory: Memory, rules: dict[str, object], has_store: bool) -> None:
        self.memory = memory
        self.world = KeptWorld(True, **rules) if has_store else World(**rules)
        self.disk = Disk(self.world) if isinstance(self.world, KeptWorld) else None
        self._turns = 0
        self.retries = rules.get("job_retries", -1)
        self.peers: dict[str, Peer] = {}
        self.promised: set[bytes] = set()
        self.held: dict[str, list[bytes]] = {}
        self.asleep: set[str] = set()

    def peer(self, name: str) -> Peer:
        while name not in self.peers:
            try:
                self.peers[name] = self.world.peer()
            except MemoryError:
                self.memory.fail(0)
                assert len(self.world.broker.connections) == len(self.peers)
        return self.peers[name]

    def send(self, name: str, type: P, *args: bytes) -> None:
        peer = self.peer(name)
        if type is P.PRE_SLEEP:
            self.asleep.add(name)
        try:
            peer.send(type, *args)
        except MemoryError:
            assert type in MAY_RAISE, f"{type!r} raised"
            self.leave(name)
        self.look()

    def send_in_parts(self, name: str, type: P, *args: bytes) -> None:
        """The same, where a packet is put together, for which there has to be memory too."""
        packet = pack_request(type, *args)
        for part in (packet[:20], packet[20:-20], packet[-20:]):
            try:
                self.peer(name).raw(part)
            except MemoryError:
                self.leave(name)
                break
        self.look()

    def leave(self, name: str) -> None:
        self.give_back(name)
        self.asleep.discard(name)
        if name in self.peers:
            self.peers.pop(name).leave()
        self.look()

    def give_back(self, name: str) -> None:
        """A worker's jobs are not its own any more."""
        for given in self.held.pop(name, []):
            if self.retries >= 0:
                self.promised.discard(given)

    def look(self) -> None:
        """The books balance; who is to be cut off is."""
        if self.disk is not None:
            self.write(self.disk)
        balance(self.world)
        self.world.collect()
        for name in list(self.peers):
            peer = self.peers.get(name)
            if peer is None:
                continue  # cut off while another's leaving was looked at
            for kind, *args in peer.received():
                if kind is P.JOB_CREATED and name == "patient":
                    self.promised.add(args[0])
                if kind is P.NOOP:
                    self.asleep.discard(name)
                if kind is P.JOB_ASSIGN:
                    self.held.setdefault(name, []).append(args[0])
            if peer.connection.closing:
                assert peer.connection.overflowed
                self.leave(name)

    def write(self, disk: Disk) -> None:
        """Let what gathers be committed now and then, and fail at times."""
        self._turns += 1
        if disk.busy and self._turns % 2:
            with suppress(MemoryError):  # it stays out, and is settled the next time
                disk.settle()
        elif not disk.busy and disk.world.keeper.gathered and self._turns % 3 == 0:
            disk.take(committed=self._turns % 5 != 0, refused=self._turns % 7 == 0)

    def end(self, name: str, type: P, *args: bytes) -> None:
        """Have a worker report the end of its job, if it has one."""
        if self.held.get(name):
            given = self.held[name][-1]
            send = self.send_in_parts if SHARED in args else self.send
            send(name, type, given, *args)
            if given in self.held.get(name, []):
                self.held[name].remove(given)
                self.promised.discard(given)

    def oversleep(self) -> None:
        """No job waits while a worker for it sleeps."""
        self.look()
        waiting = {function.name for function in self.world.broker.functions if function.normal}
        for name in self.asleep:
            assert not waiting.intersection(self.peers[name].connection.functions)

    def play(self) -> None:
        send = self.send
        for name in ("one", "two", "three"):
            send(name, P.SET_CLIENT_ID, name.encode())
            send(name, P.CAN_DO, b"f")
            send(name, P.CAN_DO_TIMEOUT, b"g", b"5000")
            send(name, P.PRE_SLEEP)
        for number in range(20):
            send("one", P.CAN_DO, b"f%d" % number)
        send("loud", P.OPTION_REQ, b"exceptions")
        for name in ("loud", "client", "third"):
            send(name, P.SUBMIT_JOB, b"f", b"shared", SHARED)
        for number in range(20):
            send("client", P.SUBMIT_JOB, b"g", b"", b"%d" % number)
        self.oversleep()
        send("patient", P.SUBMIT_JOB_BG, b"f", b"", LARGE)
        self.send_in_parts("patient", P.SUBMIT_JOB_BG, b"f", b"", SHARED)
        send("patient", P.SUBMIT_JOB_BG, b"g", b"joined", b"")
        send("third", P.SUBMIT_JOB, b"g", b"joined", b"")
        send("patient", P.SUBMIT_JOB_EPOCH, b"g", b"", b"%d" % (self.world.unix_time + 3), b"")
        for ending in (
            (P.WORK_COMPLETE, SHARED), (P.WORK_EXCEPTION, LARGE), (P.WORK_FAIL,), (P.WORK_COMPLETE, b""),
        ):  # fmt: skip
            for name in ("one", "two", "three"):
                send(name, P.GRAB_JOB)
                for given in self.held.get(name, [])[-1:]:
                    send(name, P.WORK_DATA, given, LARGE)
                    send(name, P.WORK_STATUS, given, b"1", b"2")
                self.end(name, *ending)
                send("client", P.GET_STATUS, b"H:test:1")
                send("third", P.ECHO_REQ, LARGE)
                self.send_in_parts("third", P.ECHO_REQ, SHARED)
        for name in ("one", "two", "three", "one", "two"):
            send(name, P.GRAB_JOB)
        for name in ("four", "five"):
            send(name, P.CAN_DO, b"g")
            send(name, P.CAN_DO, b"f")
            send(name, P.PRE_SLEEP)
        send("one", P.CANT_DO, b"g")
        send("two", P.RESET_ABILITIES)
        self.give_back("one")
        self.give_back("two")
        self.leave("three")
        send("four", P.GRAB_JOB)
        self.world.pass_time(7)
        self.give_back("four")
        self.look()
        for job in self.world.broker.jobs[::3]:
            self.world.broker.cancel(job.handle)
            self.promised.discard(job.handle)
            self.look()
        self.leave("client")

    def check(self) -> None:
        """Nothing that was promised is lost, and all that is left can be done."""
        jobs = self.world.broker.jobs
        assert self.promised <= {job.handle for job in jobs}
        if self.disk is not None:
            self.disk.write_all()
            assert {job.handle for job in jobs if job.background} <= self.disk.handles()
        settle(self.world, list(self.peers.values()))


def main() -> None:
    for rules, for_good, module in PLAYS:
        memory = Memory(module or _broker)
        number = 0
        failed = True
        while failed:
            number += 1
            conversation = Conversation(memory, rules, module is not None)
            memory.fail(number, for_good)
            try:
                conversation.play()
            except BaseException:
                print(f"with {rules}, allocation {number} failing, for good: {for_good}", file=sys.stderr)
                raise
            finally:
                failed = memory.failed
                memory.fail(0)
            conversation.check()
        print(number - 1)


if __name__ == "__main__":
    main()
