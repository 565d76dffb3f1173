"""gearman.protocol and its kind: what programs import from python-gearman beside client and worker."""

import array
import select
import socket

import pytest
from gearman_programs import clients_of

from gearcore.compat import gearman
from gearcore.compat.gearman import GearmanConnectionManager, compat, protocol, util
from gearcore.compat.gearman.errors import ProtocolError
from gearcore.protocol import PACKETS

pytestmark = pytest.mark.usefixtures("no_hang")

ASSIGN = b"\0RES\0\0\0\x0b\0\0\0\x08H:1\0f\0a\0"
ASSIGNED = {"job_handle": "H:1", "task": "f", "data": "a\0"}


@pytest.fixture
def in_bytes(monkeypatch):
    monkeypatch.setattr(GearmanConnectionManager, "text", False)


def test_numbers_and_names():
    assert protocol.GEARMAN_COMMAND_CAN_DO == 1
    assert protocol.GEARMAN_COMMAND_SUBMIT_JOB_LOW_BG == 34
    assert type(protocol.GEARMAN_COMMAND_NOOP) is int
    assert protocol.get_command_name(11) == "GEARMAN_COMMAND_JOB_ASSIGN"
    assert protocol.get_command_name(9999) == "GEARMAN_COMMAND_TEXT_COMMAND"
    assert protocol.get_command_name(35) == 35
    assert sorted(protocol.GEARMAN_COMMAND_TO_NAME) == [*range(1, 5), *range(6, 35), 9999]
    assert protocol.GEARMAN_PARAMS_FOR_COMMAND[20] == [
        *("job_handle", "known", "running", "numerator", "denominator"),
    ]
    assert protocol.GEARMAN_PARAMS_FOR_COMMAND[19] == ["error_code", "error_text"]
    everything = {}
    exec("from gearcore.compat.gearman.protocol import *", everything)
    assert everything["GEARMAN_COMMAND_ECHO_REQ"] == 16


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda data: array.array("b", data)])
def test_parsing_takes_any_buffer_and_leaves_what_follows(make):
    assert protocol.parse_binary_command(make(ASSIGN + b"more")) == (11, ASSIGNED, len(ASSIGN))


def test_parsing_bytes(in_bytes):
    wanted = {name: value.encode() for name, value in ASSIGNED.items()}
    assert protocol.parse_binary_command(ASSIGN) == (11, wanted, len(ASSIGN))
    assert protocol.parse_text_command(b"OK\r\nmore") == (9999, {"raw_text": b"OK\r"}, 4)
    assert protocol.pack_text_command(9999, {"raw_text": "status\n"}) == b"status\n"


@pytest.mark.parametrize("end", range(len(ASSIGN)))
def test_what_is_not_all_there(end):
    assert protocol.parse_binary_command(ASSIGN[:end]) == (None, None, 0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0REQ\0\0\0\x06\0\0\0\0", "Malformed Magic"),
        (b"\0RES\0\0\0\x05\0\0\0\0", "unknown binary command: 5"),
        (b"\0RES\0\0\0\x23\0\0\xff\xff", "unknown binary command: 35"),
        (b"\0RES\0\0\x27\x0f\0\0\0\0", "unknown binary command: 9999"),
        (b"\0RES\0\0\0\x06\0\0\0\1x", "NOOP"),
        (b"\0RES\0\0\0\x0b\0\0\0\x03H:1", "JOB_ASSIGN"),
    ],
)
def test_what_is_no_packet(data, said):
    with pytest.raises(ProtocolError, match=said):
        protocol.parse_binary_command(data)


def test_any_bytes_survive():
    data = bytes(range(256))
    packed = protocol.pack_binary_command(16, {"data": data})
    _, found, size = protocol.parse_binary_command(packed, is_response=False)
    assert size == len(packed)
    assert protocol.pack_binary_command(16, found) == packed


@pytest.mark.parametrize(
    "spec", [spec for spec in PACKETS if spec.number in protocol.GEARMAN_COMMAND_TO_NAME]
)
@pytest.mark.parametrize("is_response", [False, True])
def test_every_packet_there_and_back(spec, is_response):
    names = protocol.GEARMAN_PARAMS_FOR_COMMAND[spec.number]
    arguments = {name: f"{name}é" for name in names}
    packed = protocol.pack_binary_command(spec.number, arguments, is_response)
    assert packed[:4] == (protocol.MAGIC_RES_STRING if is_response else protocol.MAGIC_REQ_STRING)
    assert protocol.parse_binary_command(packed, is_response) == (spec.number, arguments, len(packed))


@pytest.mark.parametrize(
    ("number", "arguments", "said"),
    [
        (5, {}, "unknown binary command: 5"),
        (9999, {"raw_text": "status"}, "unknown binary command: 9999"),
        ("CAN_DO", {"task": "f"}, "unknown binary command: CAN_DO"),
        (1, {}, "did not match expected"),
        (1, {"task": "f", "data": ""}, "did not match expected"),
        (1, {"task": 7}, "non-binary arguments"),
        (1, {"task": None}, "non-binary arguments"),
        (7, {"task": "a\0b", "unique": "", "data": ""}, "NUL"),
    ],
)
def test_what_cannot_be_packed(number, arguments, said):
    with pytest.raises(ProtocolError, match=said):
        protocol.pack_binary_command(number, arguments)


def test_lines():
    assert protocol.parse_text_command(b"status") == (None, None, 0)
    assert protocol.parse_text_command(array.array("b", b"OK\nmore")) == (9999, {"raw_text": "OK"}, 3)
    assert protocol.pack_text_command(9999, {"raw_text": "version\n"}) == "version\n"
    with pytest.raises(ProtocolError, match="NUL"):
        protocol.parse_text_command(b"a\0b\n")
    for number, arguments in ((1, {"raw_text": "x"}), (9999, {}), (9999, {"raw_text": 7})):
        with pytest.raises(ProtocolError):
            protocol.pack_text_command(number, arguments)


def test_the_packet_that_submits():
    assert (
        protocol.submit_cmd_for_background_priority(True, "HIGH")
        == protocol.GEARMAN_COMMAND_SUBMIT_JOB_HIGH_BG
    )
    assert protocol.submit_cmd_for_background_priority(0, None) == protocol.GEARMAN_COMMAND_SUBMIT_JOB
    with pytest.raises(KeyError):
        protocol.submit_cmd_for_background_priority(False, "URGENT")


def test_a_program_that_speaks_by_itself(server):
    with socket.create_connection(server.address) as sock:
        sock.sendall(protocol.pack_binary_command(protocol.GEARMAN_COMMAND_ECHO_REQ, {"data": "hello"}))
        came = b""
        while not (found := protocol.parse_binary_command(came))[2]:
            came += sock.recv(4096)
    assert found == (protocol.GEARMAN_COMMAND_ECHO_RES, {"data": "hello"}, len(came))


def test_stopwatch():
    watch = util.Stopwatch(10.0)
    assert 0 < watch.get_time_remaining() <= 10
    assert watch.has_time_remaining()
    later = watch.stop_time + 1
    assert (watch.get_time_remaining(later), watch.has_time_remaining(later)) == (0.0, False)
    assert watch.get_time_remaining(watch.stop_time - 2) == pytest.approx(2)
    endless = util.Stopwatch(None)
    assert (endless.get_time_remaining(), endless.has_time_remaining()) == (None, True)


def test_servers():
    wanted = {"a": ("a", 4730), "a:1": ("a", 1), ("a", 2): ("a", 2), "[::1]:3": ("::1", 3)}
    assert {given: util.disambiguate_server_parameter(given) for given in wanted} == wanted


def test_small_things():
    assert util.unlist([]) is None
    assert util.unlist(["a"]) == "a"
    with pytest.raises(ValueError, match="2"):
        util.unlist([1, 2])
    one, other = socket.socketpair()
    with one, other:
        assert util.select([one], [], [], 0) == ([], [], [])
        other.send(b"x")
        assert util.select([one], [other], []) == ([one], [other], [])
    assert (compat.any, compat.all) == (any, all)
    assert compat.defaultdict(list)["x"] == []


def test_both_ways_to_poll_once(server):
    with clients_of(server) as client:
        connection = client.establish_connection(client.connection_list[0])
        poller = select.poll()
        poller.register(connection, select.POLLIN)
        # The server confirms the option that every client sets first.
        found = client.poll_connections_once(poller, {connection.fileno(): connection}, timeout=10.0)
        assert found == ({connection}, set(), set())
        client.handle_connection_activity(*found)
        assert client.poll_connections_once({connection}, 0.0) == (set(), set(), set())
        assert client.poll_connections_once({connection}, timeout=0.0) == (set(), set(), set())


def test_a_worker_polls_once_in_both_ways(server):
    worker = gearman.GearmanWorker([str(server)])
    [connection] = worker.establish_worker_connections()
    try:
        assert worker.poll_connections_once(None, {connection.fileno(): connection}, 0.0)[2] == set()
        assert worker.poll_connections_once([connection], 0.0)[2] == set()
    finally:
        worker.shutdown()
