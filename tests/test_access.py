"""The access list: who it is for, what it allows, and what becomes of the rest, on real connections."""

import logging
import os
import pwd
import socket
import sys

import pytest
from test_tls import connect

from gearcore._codec import Parser, pack_request
from gearcore.protocol import RESPONSE_MAGIC
from gearcore.protocol import PacketType as P
from gearcore.server import Server
from gearcore.server.access import AccessEntry, AccessList, BadAccessList
from gearcore.server.identity import Identity
from gearcore.server.listeners import TcpListener, UnixListener

WORKER = Identity("10.0.0.1", 5000, ("worker-1.example", "spiffe://example/worker"))
USER = Identity("unix", user="deploy")
STRANGER = Identity("10.0.0.2", 5000)


def permissions(peer: Identity, **entry):
    return AccessList.from_mapping({"peer": [entry]}).permissions(peer)


@pytest.mark.parametrize(
    ("entry", "about"),
    [
        ({"name": "worker-1.example"}, [WORKER]),
        ({"name": "worker-*.example"}, [WORKER]),
        ({"name": "spiffe://example/worker"}, [WORKER]),
        ({"name": "worker-2.example"}, []),
        ({"name": "deploy"}, []),
        ({"user": "deploy"}, [USER]),
        ({"user": "*"}, [USER]),
        ({"user": "worker-1.example"}, []),
        ({"name": "*"}, [WORKER, USER, STRANGER]),
        ({"name": "anonymous"}, [STRANGER]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_whom_an_entry_is_for(entry, about):
    assert [
        p for p in (WORKER, USER, STRANGER) if permissions(p, **entry, work=True).may("work", b"f")
    ] == about


def test_a_certificate_cannot_pretend_to_be_anonymous():
    assert not permissions(Identity("10.0.0.1", 1, ("anonymous",)), name="anonymous", work=True).may(
        "work", b"f"
    )


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        (True, [b"image_png", b"image", b"mail", b"\xff"]),
        (False, []),
        ([], []),
        (["image_*", "mail"], [b"image_png", b"mail"]),
        (["*"], [b"image_png", b"image", b"mail", b"\xff"]),
        (["imag?"], [b"image"]),
    ],
)
@pytest.mark.parametrize("action", ["submit", "work", "admin"])
def test_what_patterns_allow(action, patterns, allowed):
    may = permissions(WORKER, name="*", **{action: patterns}).may
    assert [name for name in (b"image_png", b"image", b"mail", b"\xff") if may(action, name)] == allowed
    assert not any(may(other, b"mail") for other in {"submit", "work", "admin"} - {action})


def test_the_case_of_an_admin_command_does_not_matter_in_the_list():
    assert permissions(USER, user="deploy", admin=["Status"]).may("admin", b"status")


def test_entries_add_up():
    entries = [AccessEntry("*", submit=("mail",)), AccessEntry("worker-1.*", work=("mail",))]
    may = AccessList(entries).permissions(WORKER).may
    assert may("submit", b"mail")
    assert may("work", b"mail")
    assert not may("admin", b"status")


def test_an_empty_list_allows_nothing():
    assert not AccessList().permissions(WORKER).may("submit", b"f")


def test_a_refusal_is_logged_once(caplog):
    may = permissions(WORKER, name="*").may
    for _ in range(3):
        may("submit", b"f\n\xff")
        may("work", b"g")
    assert caplog.messages == [
        r"peer 10.0.0.1:5000 (worker-1.example) may not submit 'f\n\\xff': not in the access list",
        "peer 10.0.0.1:5000 (worker-1.example) may not work 'g': not in the access list",
    ]


def test_a_peer_cannot_fill_the_log_or_the_memory(caplog):
    may = permissions(STRANGER, name="*")
    for number in range(5000):
        may.may("submit", b"f%d" % number)
    assert len(caplog.messages) == 101
    assert caplog.messages[-1] == "peer 10.0.0.2:5000: further refusals are not logged"
    assert len(may._answers) <= 1000


class TestFile:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "access.toml"

    def test_a_good_one(self, path):
        path.write_text(
            '[[peer]]\nname = "w"\nwork = ["a", "b"]\nadmin = true\n[[peer]]\nuser = "u"\nsubmit = ["c"]\n'
        )
        assert AccessList.load(path).entries == (
            AccessEntry("w", work=("a", "b"), admin=("*",)),
            AccessEntry(user="u", submit=("c",)),
        )

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("[[peer]\n", r"Expected .* \(at line 1, column 7\)"),
            ("\xff", "'utf-8' codec can't decode .*"),
            ("[[peers]]\n", r"unknown key 'peers': entries are headed \[\[peer\]\]"),
            ("peer = 1\n", r"'peer' is not a list: entries are headed \[\[peer\]\]"),
            ("[[peer]]\nwork = true\n", "entry 1: it needs either 'name' or 'user'"),
            ("[[peer]]\nname = 'a'\n[[peer]]\nname = 'a'\nuser = 'b'\n", "entry 2: it needs either .*"),
            ("[[peer]]\nname = 1\n", "entry 1: 'name' is not a text: 1"),
            ("[[peer]]\nname = ''\n", "entry 1: 'name' is not a text: ''"),
            ("[[peer]]\nname = 'a'\nwrok = []\n", r"entry 1 \(a\): unknown key 'wrok'"),
            (
                "[[peer]]\nname = 'a'\nwork = 'all'\n",
                r"entry 1 \(a\): 'work' is neither true, false nor a list of texts: 'all'",
            ),
            ("[[peer]]\nname = 'a'\nadmin = [1]\n", r"entry 1 \(a\): 'admin' is neither .*: \[1\]"),
        ],
    )
    def test_a_bad_one_is_described_in_a_line(self, path, text, fault):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(BadAccessList, match=f"^access list {path}: {fault}$"):
            AccessList.load(path)

    def test_one_that_is_not_there(self, path):
        with pytest.raises(BadAccessList, match=f"^access list {path}: No such file or directory$"):
            AccessList.load(path)


class Caller:
    """Packets and lines over a socket."""

    def __init__(self, sock) -> None:
        self.socket = sock
        self.socket.settimeout(5)
        self._parser = Parser(expect=RESPONSE_MAGIC)
        self._packets = []

    def ask(self, type, *args) -> tuple:
        """The answer to a packet, for which an ECHO_REQ gives one if there is none."""
        self.socket.sendall(pack_request(type, *args) + pack_request(P.ECHO_REQ, b"end"))
        answers = []
        while not answers or answers[-1] != (P.ECHO_RES, b"end"):
            answers += [(p.type, *p.args) for p in self._parser.feed(self.socket.recv(65536))]
        return answers[0]

    def line(self, text: bytes) -> bytes:
        self.socket.sendall(text)
        return self.socket.makefile("rb").readline()


ACCESS = AccessList.from_mapping(
    {
        "peer": [
            {"name": "worker-*", "work": ["image_*"]},
            {"name": "anonymous", "submit": ["image_*"]},
            {
                "user": pwd.getpwuid(os.getuid()).pw_name if sys.platform != "win32" else "-",
                "admin": ["status"],
            },
        ]
    }
)


@pytest.fixture
def server(authority, tmp_path):
    listeners = [
        TcpListener("127.0.0.1", 0, tls=authority.files()),
        UnixListener(str(tmp_path / "socket")),
    ]
    with Server(port=0, listeners=listeners, access=ACCESS) as server:
        yield server


def test_a_peer_over_tls_may_do_what_its_certificate_says(server, authority, caplog):
    with connect(server.addresses[1][1], authority.client(common_name="worker-7")) as sock:
        worker = Caller(sock)
        assert worker.ask(P.CAN_DO, b"image_png") == (P.ECHO_RES, b"end")
        assert worker.ask(P.CAN_DO, b"mail")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert worker.ask(P.CAN_DO_TIMEOUT, b"mail", b"1000")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert worker.ask(P.SUBMIT_JOB_BG, b"image_png", b"", b"")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert worker.line(b"STATUS\n").startswith(b"ERR PERMISSION_DENIED ")
    assert "(worker-7) may not work 'mail': not in the access list" in caplog.text


def test_an_anonymous_peer(server):
    with socket.create_connection(server.addresses[0]) as sock:
        client = Caller(sock)
        assert client.ask(P.SUBMIT_JOB_BG, b"image_png", b"", b"")[0] == P.JOB_CREATED
        assert client.ask(P.SUBMIT_JOB_BG, b"mail", b"", b"")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert client.ask(P.CAN_DO, b"image_png")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert client.line(b"shutdown\n").startswith(b"ERR PERMISSION_DENIED ")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the user of a Unix socket")
def test_a_user_of_a_unix_socket(server, tmp_path, caplog):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "socket"))
        user = Caller(sock)
        assert user.line(b"Status\n") == b".\n"
        with caplog.at_level(logging.WARNING):
            assert user.line(b"workers\n").startswith(b"ERR PERMISSION_DENIED ")
        assert user.ask(P.SUBMIT_JOB_BG, b"image_png", b"", b"")[:2] == (P.ERROR, b"PERMISSION_DENIED")
    assert f"peer unix ({pwd.getpwuid(os.getuid()).pw_name}) may not admin 'workers'" in caplog.text


def test_without_a_list_everyone_may_do_everything():
    with Server(port=0) as server, socket.create_connection(server.addresses[0]) as sock:
        caller = Caller(sock)
        assert caller.ask(P.SUBMIT_JOB_BG, b"f", b"", b"")[0] == P.JOB_CREATED
        assert caller.line(b"status\n") == b"f\t1\t0\t0\n"
