"""Rates of one Gearman library with and without the codec, taken by turns in one process.

Run by benchmarks/accelerate.py with the Python that has the library: ``accelerate_cases.py IMPORT_NAME``.
Prints a JSON list of [case, plain, accelerated], in seconds for a packet.
"""

from __future__ import annotations

import array
import importlib
import json
import logging
import struct
import sys
import time
from collections.abc import Callable, Iterator

import gearcore

BURST = 1000
SIZES = {"32 B": 32, "1 KB": 1024}
ROUNDS = 7
SECONDS = 0.03  # of each measurement


class Method:
    """A method of an object, found anew when asked: measured without what finding it in each call costs."""

    def __init__(self, owner: object, name: str) -> None:
        self._owner, self._name = owner, name

    def found(self) -> Callable[[], object]:
        return getattr(self._owner, self._name)


Case = tuple[str, Callable[[], object] | Method, int]


def job(size: int) -> tuple[list[bytes], bytes]:
    arguments = [b"H:host:123", b"reverse", b"x" * size]
    body = b"\0".join(arguments)
    return arguments, struct.pack(">4sII", b"\0RES", 11, len(body)) + body


def gearman_cases(name: str) -> Iterator[Case]:
    protocol = importlib.import_module(f"{name}.protocol")
    connections = importlib.import_module(f"{name}.connection")
    is_text = name.startswith("py")
    for size, length in SIZES.items():
        arguments, packet = job(length)
        parsed = [argument.decode() for argument in arguments] if is_text else arguments
        command = dict(zip(("job_handle", "task", "data"), parsed, strict=True))
        buffer = packet if is_text else array.array("b", packet)
        burst = packet * BURST if is_text else array.array("b", packet * BURST)
        connection = connections.GearmanConnection("localhost")
        connection._is_client_side, connection._is_server_side = True, True

        def parse_burst(connection=connection, burst=burst):
            connection._incoming_buffer = burst
            connection._incoming_commands.clear()
            assert connection.read_commands_from_buffer() == BURST

        def pack_burst(connection=connection, command=command):
            connection._outgoing_buffer = b""
            for _ in range(BURST):
                connection._outgoing_commands.append((11, command))
            connection.send_commands_to_buffer()

        yield f"parse {size}", lambda buffer=buffer: protocol.parse_binary_command(buffer), 1
        yield f"pack {size}", lambda command=command: protocol.pack_binary_command(11, command, True), 1
        yield f"parse {size}, burst", parse_burst, BURST
        yield f"pack {size}, burst", pack_burst, BURST


def gear_cases(name: str) -> Iterator[Case]:
    gear = importlib.import_module(name)
    for size, length in SIZES.items():
        arguments, packet = job(length)
        connection = gear.Connection("localhost", 1)
        connection._readRawBytes = lambda _, packet=packet: packet
        made = gear.Packet(b"\0RES", 11, b"\0".join(arguments))

        def parse(connection=connection):
            packet = connection.readPacket()
            packet.getArgument(0), packet.getArgument(1), packet.getArgument(2, True)

        def parse_burst(connection=connection, burst=packet * BURST, parse=parse):
            connection.input_buffer = burst
            for _ in range(BURST):
                parse()

        def pack_burst(made=made):
            for _ in range(BURST):
                made.toBinary()

        yield f"parse {size}", parse, 1
        yield f"pack {size}", Method(made, "toBinary"), 1
        yield f"parse {size}, burst", parse_burst, BURST
        yield f"pack {size}, burst", pack_burst, BURST


def aiogear_cases(name: str) -> Iterator[Case]:
    mixin = importlib.import_module(f"{name}.mixin")
    kind = mixin.Type.JOB_ASSIGN
    for size, length in SIZES.items():
        arguments, packet = job(length)

        # Anew for each, since a protocol keeps the functions that were there when it was made.
        class State:
            protocol = None

        def renew(state=State):
            state.protocol = mixin.GearmanProtocolMixin(loop=state)
            waiting = state.protocol._registers

            def callback(packet, response):
                waiting.append(entry)

            entry = ((kind,), callback)
            waiting.append(entry)

        def parse(state=State, packet=packet):
            state.protocol.data_received(packet)

        def parse_burst(state=State, burst=packet * BURST):
            state.protocol.data_received(burst)

        def pack(state=State, arguments=arguments):
            return state.protocol.serialize_response(kind, *arguments)

        def pack_burst(pack=pack):
            for _ in range(BURST):
                pack()

        for case, function, count in (
            (f"parse {size}", parse, 1),
            (f"pack {size}", pack, 1),
            (f"parse {size}, burst", parse_burst, BURST),
            (f"pack {size}, burst", pack_burst, BURST),
        ):
            function.renew = renew
            yield case, function, count


def seconds(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def measure(name: str, function: Callable[[], object] | Method) -> tuple[float, float]:
    def prepared() -> Callable[[], object]:
        getattr(function, "renew", lambda: None)()
        return function.found() if isinstance(function, Method) else function

    plain, accelerated = float("inf"), float("inf")
    first = prepared()
    calls = max(1, int(SECONDS / max(seconds(first, 1), seconds(first, 1))))
    for _ in range(ROUNDS):
        plain = min(plain, seconds(prepared(), calls))
        with gearcore.accelerate(name):
            accelerated = min(accelerated, seconds(prepared(), calls))
    return plain, accelerated


CASES = {"gear": gear_cases, "aiogear": aiogear_cases}


def main() -> None:
    (name,) = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    results = []
    for case, function, count in CASES.get(name, gearman_cases)(name):
        plain, accelerated = measure(name, function)
        results.append((case, plain / count, accelerated / count))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
