"""gearman3, pygearman, python3-gearman and py3gearman, with the codec and without."""

from __future__ import annotations

import array
import importlib
import sys

from common import (
    MAGICS,
    Comparison,
    cut,
    examples,
    fragments,
    frame,
    outcome,
    places,
    run,
    seen,
    streams,
    words,
)
from hypothesis import given
from hypothesis import strategies as st

NAME = sys.argv[1]
protocol = importlib.import_module(f"{NAME}.protocol")
connections = importlib.import_module(f"{NAME}.connection")
PARAMETERS = protocol.GEARMAN_PARAMS_FOR_COMMAND
IS_TEXT = isinstance(protocol.NULL_CHAR, str)
comparison = Comparison(NAME)


def buffer(data: bytes):
    return data if IS_TEXT else array.array("b", data)


class Bytes(bytes):
    pass


class Text(str):
    pass


texts = st.one_of(st.text(max_size=5), st.sampled_from(["", "reverse", "h\u00e9llo", "a\0b", "\ud800"]))
values = st.one_of(
    texts if IS_TEXT else st.one_of(words, texts),
    st.sampled_from(
        [b"a\0b", b"bytes", "text", "a\0b", Bytes(b"x"), Text("x"), bytearray(b"x"), 7, None, [b"x"]]
    ),
)


@st.composite
def commands(draw: st.DrawFn) -> tuple[object, object]:
    number = draw(st.sampled_from(sorted(PARAMETERS)))
    good = draw(st.booleans())
    right = st.sampled_from(["a", "reverse", "H:x:1"]) if IS_TEXT else st.one_of(words, st.just("h\u00e9llo"))
    arguments: object = {
        name: draw(right if good else values) for name in draw(st.permutations(PARAMETERS[number]))
    }
    if draw(st.integers(0, 9)) == 0:
        arguments = draw(
            st.sampled_from(
                [{}, {"task": b"x"}, {"data": "x", "extra": "y"}, {7: b"x"}, None, [("task", "x")]]
            )
        )
    if draw(st.integers(0, 9)) == 0:
        number = draw(st.sampled_from([0, 5, 35, 42, 43, 9999, -1, 2**70, True, 1.0, "1", None]))
    return number, arguments


@examples
@given(fragments, st.sampled_from([True, False, None, 1, ""]))
def test_parse_of_every_length(data: bytes, is_response: object) -> None:
    comparison.check(
        lambda: [
            outcome(protocol.parse_binary_command, buffer(data[:end]), is_response)
            for end in range(len(data) + 1)
        ]
    )


def test_parse_of_every_type() -> None:
    for magic in MAGICS:
        for number in range(50):
            for count in range(9):
                for end in (b"", b"\0", b"\0more\0", b"\xff"):
                    packet = frame(magic, number, b"\0".join([b"word"] * count) + end)
                    comparison.check(lambda p=packet: outcome(protocol.parse_binary_command, buffer(p)))
                    comparison.check(
                        lambda p=packet: outcome(
                            connections.parse_binary_command, buffer(p + p), is_response=False
                        )
                    )


@examples
@given(fragments)
def test_parse_of_other_buffers(data: bytes) -> None:
    others = [bytes, bytearray, memoryview, Bytes, lambda d: array.array("B", d), list, str]
    others.append(lambda d: array.array("h", d + d))
    others.append(lambda d: None)
    for make in others:
        comparison.check(lambda make=make: outcome(protocol.parse_binary_command, make(data)))


@examples
@given(commands(), st.sampled_from([True, False, None]))
def test_pack(command: tuple[object, object], is_response: object) -> None:
    number, arguments = command

    def play() -> object:
        given = dict(arguments) if isinstance(arguments, dict) else arguments
        return outcome(protocol.pack_binary_command, number, given, is_response), seen(given)

    comparison.check(play)


def test_pack_when_a_key_changes_the_arguments() -> None:
    class Key:
        def __init__(self, name: str, given: dict[object, object]) -> None:
            self.name, self.given = name, given

        def __hash__(self) -> int:
            return hash(self.name)

        def __eq__(self, other: object) -> bool:
            if other == self.name:
                self.given["unique"] = "another"
            return other == self.name

    def play() -> object:
        given: dict[object, object] = {"unique": "x" * 100, "data": "text"}
        given[Key("task", given)] = "reverse"
        return outcome(protocol.pack_binary_command, 7, given), list(map(str, given.values()))

    comparison.check(play)


@examples
@given(streams, places, st.sampled_from([True, False, None]))
def test_a_connection_that_reads(data: bytes, places: list[int], is_client: bool | None) -> None:
    def play() -> list[object]:
        connection = connections.GearmanConnection("localhost")
        connection._is_client_side = is_client
        played = []
        for piece in cut(data, places):
            connection._incoming_buffer = connection._incoming_buffer + buffer(piece)
            played.append(outcome(connection.read_commands_from_buffer))
            played.append(seen(connection._incoming_buffer))
            played.append(seen(list(connection._incoming_commands)))
        return played

    comparison.check(play)


@examples
@given(
    st.lists(commands(), max_size=5), st.sampled_from([True, False, None]), st.sampled_from([b"", b"unsent"])
)
def test_a_connection_that_writes(
    queue: list[tuple[object, object]], is_server: bool | None, unsent: bytes
) -> None:
    def play() -> list[object]:
        connection = connections.GearmanConnection("localhost")
        connection._is_server_side = is_server
        connection._outgoing_buffer = unsent
        given = [(n, dict(a) if isinstance(a, dict) else a) for n, a in queue]
        for command in given:
            connection.send_command(*command)
        played = [outcome(connection.send_commands_to_buffer) for _ in range(len(given) + 1)]
        return [*played, connection._outgoing_buffer, seen(list(connection._outgoing_commands)), seen(given)]

    comparison.check(play)


def test_what_a_subclass_changes() -> None:
    packet = frame(b"\0RES", 8, b"H:host:1")

    class Connection(connections.GearmanConnection):
        def _unpack_command(self, given_buffer):
            number, arguments, size = super()._unpack_command(given_buffer)
            return number, arguments and {**arguments, "more": 1}, size

        def _pack_command(self, cmd_type, cmd_args):
            return b"<" + super()._pack_command(cmd_type, cmd_args) + b">"

    def play() -> object:
        connection = Connection("localhost")
        connection._is_client_side, connection._is_server_side = True, False
        connection._incoming_buffer = buffer(packet * 3)
        read = connection.read_commands_from_buffer()
        connection.send_command(9, {})
        connection.send_commands_to_buffer()
        return read, seen(list(connection._incoming_commands)), connection._outgoing_buffer

    comparison.check(play)


if __name__ == "__main__":
    run(globals(), comparison)
