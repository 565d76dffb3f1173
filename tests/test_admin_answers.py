"""What the lines of admin answers mean: the odd ones of gearmand and of gearcore, without a socket."""

import pytest

from gearcore.errors import ProtocolError, ServerError
from gearcore.session import commands
from gearcore.session.answers import FunctionQueues, FunctionStatus, ListedJob, PeerStatus

VERSION = b"OK 1.1.20+ds\n"


def ask(command, answer: bytes):
    """The answer to a command, which comes in one piece, and then byte by byte."""
    parts = [answer[i : i + 1] for i in range(len(answer))]
    assert outcome(command(), [answer]) == outcome(command(), parts)
    return outcome(command(), [answer])


def outcome(command, parts):
    session = commands.AdminSession("here:4730")
    assert session.ask(command) == command.lines
    for part in parts[:-1]:
        session.receive(part)
        assert not session.answered
    session.receive(parts[-1])
    assert session.answered
    try:
        return session.answer(command)
    except ServerError as error:
        return error.code, error.text, str(error)


def functions(*names: str) -> bytes:
    """The answer to ``status``, which is asked ahead of ``workers``."""
    return b"".join(b"%s\t0\t0\t1\n" % name.encode() for name in names) + b".\n" + VERSION


class TestStatus:
    def test_rows(self):
        assert ask(commands.status, b"f\t3\t1\t2\ng\t0\t0\t0\n.\n" + VERSION) == [
            FunctionStatus("f", 3, 1, 2),
            FunctionStatus("g", 0, 0, 0),
        ]

    def test_queued(self):
        assert FunctionStatus("f", 3, 1, 2).queued == 2

    def test_no_rows(self):
        assert ask(commands.status, b".\n" + VERSION) == []

    @pytest.mark.parametrize(
        "name",
        ["a b", "t\tt", "7\t7", "", "n\nn", "\n", "n\n.", "n\n.\nn", "ERR", "ERR x y\r\nz", "ü", "\udcff"],
    )
    def test_a_name_of_any_kind(self, name):
        raw = name.encode("utf-8", "surrogateescape")
        assert ask(commands.status, b"%s\t1\t0\t0\ng\t0\t0\t2\n.\n" % raw + VERSION) == [
            FunctionStatus(name, 1, 0, 0),
            FunctionStatus("g", 0, 0, 2),
        ]

    def test_a_count_below_zero(self):
        assert ask(commands.status, b"f\t3\t-1\t2\n.\n" + VERSION) == [FunctionStatus("f", 3, -1, 2)]

    def test_what_is_no_row(self):
        with pytest.raises(ProtocolError, match=r"^here:4730 sent 'hello', which is not understood$"):
            ask(commands.status, b"hello\n.\n" + VERSION)

    def test_a_refusal(self):
        refusal = b"ERR PERMISSION_DENIED This+peer+may+not+send+this+command+status\r\n"
        assert ask(commands.status, refusal + VERSION) == (
            "PERMISSION_DENIED",
            "This peer may not send this command status",
            "PERMISSION_DENIED: This peer may not send this command status (from here:4730)",
        )

    def test_a_refusal_of_the_command_behind_it_is_the_end_too(self):
        assert ask(commands.status, b"f\t0\t0\t0\n.\nERR PERMISSION_DENIED\r\n") == [
            FunctionStatus("f", 0, 0, 0)
        ]


def test_priority_status():
    assert ask(commands.priority_status, b"a b\t1\t2\t3\t4\n.\n" + VERSION) == [
        FunctionQueues("a b", 1, 2, 3, 4)
    ]


def test_jobs():
    assert ask(commands.jobs, b"H:vm:1\t2\t0\t1\nH:vm:2\t0\t1\t0\n.\n" + VERSION) == [
        ListedJob("H:vm:1", 2, ignored=False, queued=True),
        ListedJob("H:vm:2", 0, ignored=True, queued=False),
    ]


def test_unique_jobs_may_be_empty_or_dots():
    assert ask(commands.unique_jobs, b"\n.\nu u\n.\n.\n" + VERSION) == ["", ".", "u u", "."]


class TestWorkers:
    @pytest.mark.parametrize(
        ("line", "peer"),
        [
            (b"37 127.0.0.1 - :", PeerStatus(37, "127.0.0.1", "-", ())),
            (b"37 127.0.0.1 - : f g", PeerStatus(37, "127.0.0.1", "-", ("f", "g"))),
            (b"37 127.0.0.1  : f", PeerStatus(37, "127.0.0.1", "", ("f",))),
            (b"37 127.0.0.1 my id : f", PeerStatus(37, "127.0.0.1", "my id", ("f",))),
            (b"37 127.0.0.1 a:b :c : f", PeerStatus(37, "127.0.0.1", "a:b :c", ("f",))),
            (b"37 ::1 - : f", PeerStatus(37, "::1", "-", ("f",))),
            (b"37 ::%1430174816 - : f", PeerStatus(37, "::%1430174816", "-", ("f",))),
            (b"37 unix - : f", PeerStatus(37, "unix", "-", ("f",))),
            (b"37 127.0.0.1 - : : f", PeerStatus(37, "127.0.0.1", "-", (":", "f"))),
            (b"37 127.0.0.1 - : a b b a c", PeerStatus(37, "127.0.0.1", "-", ("a b", "b", "a c"))),
            (b"37 127.0.0.1 - : t\tt n\nn f", PeerStatus(37, "127.0.0.1", "-", ("t\tt", "n\nn", "f"))),
            (b"37 127.0.0.1 -  f", None),
        ],
    )
    def test_rows(self, line, peer):
        answer = functions("f", "a b", "a c", "t\tt", "n\nn") + b"1 127.0.0.1 - :\n%s\n.\n" % line + VERSION
        if peer is None:
            with pytest.raises(ProtocolError, match="is not understood"):
                ask(commands.workers, answer)
        else:
            assert ask(commands.workers, answer) == [PeerStatus(1, "127.0.0.1", "-", ()), peer]

    def test_the_functions_may_be_secret(self):
        refusal = b"ERR PERMISSION_DENIED\r\n" + VERSION
        assert ask(commands.workers, refusal + b"1 ::1 - : a b\n.\n" + VERSION) == [
            PeerStatus(1, "::1", "-", ("a", "b"))
        ]


class TestOneLine:
    @pytest.mark.parametrize(
        ("command", "answer", "meaning"),
        [
            (commands.version, VERSION, "1.1.20+ds"),
            (commands.verbose, b"OK ERROR\n", "ERROR"),
            (commands.getpid, b"OK 2334\n", 2334),
            (lambda: commands.maxqueue("f", 5), b"OK\r\n", None),
            (lambda: commands.cancel("H:vm:1"), b"OK\r\n", True),
            (lambda: commands.cancel("H:vm:1"), b"ERR UNKNOWN_JOB\r\n", False),
            (
                lambda: commands.cancel("H:vm:1"),
                b"ERR UNKNOWN_ERROR\r\n",
                ("UNKNOWN_ERROR", "", "UNKNOWN_ERROR (from here:4730)"),
            ),
            (
                lambda: commands.drop_function("f"),
                b"ERR function not found\r\n",
                ("ERR", "function not found", "ERR: function not found (from here:4730)"),
            ),
            (
                commands.shutdown,
                b"ERR UNKNOWN_COMMAND Unknown+server+commandshutdown\r\n",
                (
                    "UNKNOWN_COMMAND",
                    "Unknown server commandshutdown",
                    "UNKNOWN_COMMAND: Unknown server commandshutdown (from here:4730)",
                ),
            ),
        ],
    )
    def test_meaning(self, command, answer, meaning):
        assert ask(command, answer) == meaning

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"\n", b".\n", b"OKAY\n"])
    def test_what_is_no_answer(self, answer):
        with pytest.raises(ProtocolError, match=r"^here:4730 answered .*, which is neither OK nor ERR$"):
            ask(commands.version, answer)

    def test_what_is_no_number(self):
        with pytest.raises(ProtocolError, match=r"^here:4730 answered 'twelve', which is no number$"):
            ask(commands.getpid, b"OK twelve\n")


def test_a_command_has_what_gearadmin_sends():
    assert commands.maxqueue("f", 5).lines == b"maxqueue f 5\r\n"
    assert commands.maxqueue("f", 5, 6, 0).lines == b"maxqueue f 5 6 0\r\n"
    assert commands.create_function(b"f").lines == b"create function f\r\n"
    assert commands.cancel("H:ü:1").lines == "cancel job H:ü:1\r\n".encode()
    assert commands.shutdown(graceful=True).lines == b"shutdown graceful\r\n"


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "a\r", "a\0b"])
def test_a_name_that_no_command_can_have(name):
    with pytest.raises(ValueError, match="function "):
        commands.drop_function(name)


@pytest.mark.parametrize("limits", [(), (1, 2), (-1,), (1, 2, 3, 4)])
def test_limits_that_are_none(limits):
    with pytest.raises(ValueError, match="limit"):
        commands.maxqueue("f", *limits)


@pytest.mark.parametrize("data", [VERSION + b"x", VERSION + VERSION])
def test_more_than_the_answer(data):
    session = commands.AdminSession("here:4730")
    session.ask(commands.version())
    with pytest.raises(ProtocolError, match=r"^here:4730 sent '.+', which nobody asked for$"):
        session.receive(data)


def test_one_command_after_the_other():
    session = commands.AdminSession("here:4730")
    for number in range(3):
        session.ask(commands.getpid())
        session.receive(b"OK %d\n" % number)
        assert session.answer(commands.getpid()) == number
