"""``gearcore top``: what the screen says, on a terminal and in a pipe."""

import threading

import pytest
from commands import assert_one_line, on_a_terminal, run
from fake_server import Peer, free_port

from gearcore import FunctionQueues, FunctionStatus, PeerStatus
from gearcore.cli.screen import Sample, Watched, render
from gearcore.protocol import PacketType as P


def sample(time: float, jobs: int, running: int = 0) -> Sample:
    return Sample(
        time,
        "1.1.20+ds",
        [FunctionStatus("mail", jobs, running, 1), FunctionStatus("idle", 0, 0, 1)],
        [FunctionQueues("mail", 1, jobs - running - 1, 0, 1), FunctionQueues("idle", 0, 0, 0, 1)],
        [
            PeerStatus(30, "192.0.2.1", "-", ()),
            PeerStatus(31, "192.0.2.7", "mailer", ("mail", "idle")),
        ],
    )


def watched(server: str, *samples: Sample) -> Watched:
    one = Watched(server)
    for each in samples:
        one.took(each)
    return one


class TestScreen:
    def test_everything(self):
        one = watched("here:4730", sample(10, 1000), sample(12, 900, 3))
        assert render([one], "12:00:00", None, None) == [
            "gearcore top  12:00:00  1 of 1 server up, 900 jobs (-50.0/s), 3 running",
            "",
            "SERVER     STATE      FUNCTIONS  JOBS  WORKERS  CONNECTIONS",
            "here:4730  1.1.20+ds          2   900        1            2",
            "",
            "FUNCTION  JOBS  CHANGE/S  RUNNING  HIGH  NORMAL  LOW  WORKERS",
            "mail       900     -50.0        3     1     896    0        1",
            "idle         0      +0.0        0     0       0    0        1",
            "",
            "WORKER     CLIENT ID  SERVER     FUNCTIONS",
            "192.0.2.7  mailer     here:4730  idle, mail",
        ]

    def test_nothing_is_known_yet(self):
        assert render([Watched("here:4730")], "12:00:00", None, None)[:4] == [
            "gearcore top  12:00:00  0 of 1 server up, 0 jobs, 0 running",
            "",
            "SERVER     STATE   FUNCTIONS  JOBS  WORKERS  CONNECTIONS",
            "here:4730  asking  -          -     -        -",
        ]

    def test_servers_are_added_up(self):
        lines = render(
            [watched("a:1", sample(10, 100), sample(11, 110)), watched("b:1", sample(10, 5), sample(11, 4))],
            "12:00:00",
            None,
            None,
        )
        assert "2 of 2 servers up, 114 jobs (+9.0/s)" in lines[0]
        assert "mail       114      +9.0        0     2     112    0        2" in lines

    def test_a_server_that_went_away(self):
        gone = watched("a:1", sample(10, 100), sample(11, 110))
        gone.failed("no connection to a:1: Connection refused")
        lines = render([gone, watched("b:1", sample(10, 5))], "12:00:00", None, None)
        assert lines[0] == "gearcore top  12:00:00  1 of 2 servers up, 5 jobs, 0 running"
        assert lines[3].startswith("a:1     no connection to a:1: Connection refused ")
        gone.took(sample(20, 50))
        assert "55 jobs, " in render([gone, watched("b:1", sample(10, 5))], "", None, None)[0]

    def test_a_function_that_is_new_counts_from_nothing(self):
        one = watched("here:4730", Sample(10, "v", [], [], []), sample(12, 10))
        assert "mail        10      +5.0        0     1       9    0        1" in render(
            [one], "", None, None
        )

    @pytest.mark.parametrize("height", [1, 5, 9, 10, 14, 24, 60, 200])
    def test_it_fits(self, height):
        functions = [FunctionStatus(f"function-{n}", n, 0, 1) for n in range(50)]
        peers = [PeerStatus(n, "192.0.2.1", f"worker-{n}", (f"function-{n}",)) for n in range(50)]
        one = watched("here:4730", Sample(10, "v", functions, [], peers))
        lines = render([one], "12:00:00", height, 40)
        assert len(lines) <= height
        assert max(map(len, lines)) <= 40
        if height >= 24:
            assert lines[6].startswith("function-49")
            assert any(line.startswith("192.0.2.1") for line in lines)
            assert (height < 110) == ("... and " in "\n".join(lines))

    def test_names_cannot_command_the_terminal(self):
        one = watched("here:4730", Sample(1, "v", [FunctionStatus("\x1b[2J", 0, 0, 0)], [], []))
        assert "\x1b" not in "".join(render([one], "", None, None))


@pytest.fixture
def busy(server, client):
    with Peer.connect(server.address) as worker:
        worker.send(P.SET_CLIENT_ID, b"worker")
        worker.send(P.CAN_DO, b"resize")
        worker.send(P.ECHO_REQ, b"")
        worker.receive(P.ECHO_RES)
        client.submit("mail", background=True)
        yield str(server)


class TestOnce:
    def test_in_a_pipe(self, busy):
        result = run("gearcore", "top", "--once", "--interval", "0.05", "--server", busy)
        assert (result.returncode, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        assert lines[0].endswith("1 of 1 server up, 1 jobs (+0.0/s), 0 running")
        assert "mail         1      +0.0        0     0       1    0        0" in lines
        assert f"127.0.0.1  worker     {busy}  resize" in lines

    def test_a_change(self, busy, client):
        stop = threading.Event()

        def submit():
            while not stop.is_set():
                client.submit("mail", background=True)

        thread = threading.Thread(target=submit)
        thread.start()
        result = run("gearcore", "top", "--once", "--interval", "0.2", "--server", busy)
        stop.set()
        thread.join()
        (row,) = (line.split() for line in result.stdout.splitlines() if line.startswith("mail "))
        assert float(row[2].replace(",", "")) > 0

    def test_no_server_is_there(self):
        nothing = f"127.0.0.1:{free_port()}"
        result = run("gearcore", "top", "--once", "--interval", "0.05", "--server", nothing)
        assert result.returncode == 1
        assert f"{nothing}  no connection to {nothing}: Connection refused" in result.stdout

    def test_a_pipe_is_no_terminal(self, busy):
        assert_one_line(run("gearcore", "top", "--server", busy), 2, "gearcore top: .*--once.*")

    @pytest.mark.parametrize("interval", ["0", "never"])
    def test_a_bad_interval(self, interval):
        assert_one_line(run("gearcore", "top", "--interval", interval), 2, "gearcore top: .*--interval.*")


class TestTerminal:
    @pytest.mark.parametrize("key", [b"q", b"Q"])
    def test_it_ends_by_a_key(self, busy, key):
        shown = on_a_terminal(
            "gearcore", "top", "--interval", "0.1", "--server", busy, keys=key, until="+0.0"
        )
        assert shown.startswith("\x1b[?1049h\x1b[?25l\x1b[H")
        assert shown.endswith("\x1b[?25h\x1b[?1049l")
        assert "mail " in shown

    def test_it_ends_by_ctrl_c(self, busy):
        shown = on_a_terminal("gearcore", "top", "--server", busy, keys=b"\x03", until="resize")
        assert shown.endswith("\x1b[?25h\x1b[?1049l")

    def test_it_goes_on_when_the_server_is_away(self, server, busy):
        shown = on_a_terminal(
            "gearcore", "top", "--interval", "0.05", "--server", busy,
            keys=b"q", until="Connection refused", when={"resize": server.stop},
        )  # fmt: skip
        assert "resize" in shown
