"""A broker with named peers, and no socket: what the broker's tests play their scenes in."""

from __future__ import annotations

from collections import defaultdict

from gearcore._codec import Packet, Parser, pack_request
from gearcore.broker import Admin, Broker, Connection, FunctionStatus
from gearcore.protocol import RESPONSE_MAGIC, PacketType

PREFIX = "H:test"


def handle(number: int) -> bytes:
    """The handle of the job with that number."""
    return f"{PREFIX}:{number}".encode()


class World:
    def __init__(self, **options: object) -> None:
        self.broker = Broker(**{"answer_line": Admin(), "handle_prefix": PREFIX, **options})
        self.now = 1000.0
        self.unix_time = 1_800_000_000.0
        self.broker.tick(self.now, self.unix_time)
        self._output: dict[Connection, bytearray] = defaultdict(bytearray)

    def peer(self, address: str = "192.0.2.1", number: int = 7) -> Peer:
        return Peer(self, self.broker.connect(address, number))

    def worker(self, *functions: bytes) -> Peer:
        peer = self.peer()
        for function in functions:
            peer.send(PacketType.CAN_DO, function)
        return peer

    def sleeper(self, *functions: bytes) -> Peer:
        peer = self.worker(*functions)
        peer.send(PacketType.PRE_SLEEP)
        assert peer.received() == []
        return peer

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with a tick whenever the broker asks for one and at the end."""
        end = self.now + seconds
        while (due := self.broker.deadline) is not None and due <= end:
            self._tick(max(due, self.now))
        self._tick(end)

    def _tick(self, now: float) -> None:
        self.unix_time += now - self.now
        self.now = now
        self.broker.tick(now, self.unix_time)

    def collect(self) -> None:
        for connection in self.broker.drain():
            self._output[connection] += connection.take_output()

    def output(self, connection: Connection) -> bytes:
        self.collect()
        return bytes(self._output.pop(connection, b""))

    def status(self, function: bytes) -> FunctionStatus:
        return next(f for f in self.broker.functions if f.name == function)


class Peer:
    def __init__(self, world: World, connection: Connection) -> None:
        self.world = world
        self.connection = connection
        self._parser = Parser(expect=RESPONSE_MAGIC)

    def send(self, type: PacketType, *args: bytes) -> None:
        self.connection.receive(pack_request(type, *args), self.world.now)

    def raw(self, data: bytes) -> None:
        self.connection.receive(data, self.world.now)

    def output(self) -> bytes:
        """The bytes that came for this peer since the last call."""
        return self.world.output(self.connection)

    def received(self) -> list[tuple[PacketType, ...]]:
        """The packets that came for this peer since the last call: type and arguments."""
        packets = self._parser.feed(self.output())
        return [(PacketType(p.type), *p.args) for p in packets if isinstance(p, Packet)]

    def ask(self, type: PacketType, *args: bytes) -> tuple[PacketType, ...]:
        """Send a packet and return the one packet that answers it."""
        self.send(type, *args)
        (answer,) = self.received()
        return answer

    def submit(self, function: bytes, workload: bytes = b"", unique: bytes = b"", type: str = "") -> bytes:
        """Submit a job, by the ending of its packet's name, and return its handle."""
        *woken, (answer, given) = self.ask_all(PacketType[f"SUBMIT_JOB{type}"], function, unique, workload)
        assert answer is PacketType.JOB_CREATED
        assert all(kind is PacketType.NOOP for kind, *_ in woken)
        return given

    def ask_all(self, type: PacketType, *args: bytes) -> list[tuple[PacketType, ...]]:
        self.send(type, *args)
        return self.received()

    def grab(self) -> bytes | None:
        """Ask for a job and return its handle, or None if there is none."""
        kind, *args = self.ask(PacketType.GRAB_JOB_UNIQ)
        return None if kind is PacketType.NO_JOB else args[0]

    def leave(self) -> None:
        self.world.broker.disconnect(self.connection)
