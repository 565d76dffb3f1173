"""The client's session: bytes in, state out, no socket."""

import time

import pytest

from gearcore._codec import Parser, pack_request, pack_response
from gearcore.errors import (
    BadMagic,
    ConnectionLost,
    JobError,
    JobException,
    JobFailed,
    ProtocolError,
    ServerError,
    UnknownPacketType,
)
from gearcore.protocol import PacketType as P
from gearcore.protocol import Priority
from gearcore.session.client import ClientSession, JobRequest, new_job
from gearcore.session.events import JobData, JobProgress, JobStatus, JobWarning
from gearcore.session.requests import ask_echo, ask_status, read_status
from gearcore.session.submissions import TermsMaker


def ask(session, request):
    """Ask something that somebody watches, so that ``receive`` returns it when it has changed."""
    request.watcher = print
    session.ask(request)
    return request


def start(session, function, workload, *, unique=None, **kwargs):
    maker = TermsMaker(None, time.time, namespace="", encoding="bytes", on_loss="report")
    return ask(session, new_job(JobRequest, maker.make(**kwargs), function, workload, unique))


@pytest.fixture
def session():
    session = ClientSession("job.example:4730")
    session.receive(pack_response(P.OPTION_RES, b"exceptions"))
    session.data_to_send()
    return session


def sent(session):
    return [(P(packet.type), *packet.args) for packet in Parser().feed(session.data_to_send())]


def receive(session, *packets):
    return session.receive(b"".join(pack_response(*packet) for packet in packets))


def submit(session, handle=b"H:1", **kwargs):
    job = start(session, "f", b"", **kwargs)
    receive(session, (P.JOB_CREATED, handle))
    return job


def test_exceptions_are_asked_for_first():
    session = ClientSession("s")
    ask(session, ask_echo(b"x"))
    assert session.data_to_send() == (
        pack_request(P.OPTION_REQ, b"exceptions") + pack_request(P.ECHO_REQ, b"x")
    )
    assert session.data_to_send() == b""


def test_a_server_without_exceptions_does():
    session = ClientSession("s")
    job = start(session, "f", b"")
    receive(session, (P.ERROR, b"UNKNOWN_OPTION", b"no"), (P.JOB_CREATED, b"H:1"))
    assert job.handle == "H:1"
    assert job.error is None


@pytest.mark.parametrize(
    ("priority", "background", "packet_type"),
    [
        (Priority.HIGH, False, P.SUBMIT_JOB_HIGH),
        (Priority.NORMAL, False, P.SUBMIT_JOB),
        (Priority.LOW, False, P.SUBMIT_JOB_LOW),
        (Priority.HIGH, True, P.SUBMIT_JOB_HIGH_BG),
        (Priority.NORMAL, True, P.SUBMIT_JOB_BG),
        (Priority.LOW, True, P.SUBMIT_JOB_LOW_BG),
    ],
)
def test_submit_packets(session, priority, background, packet_type):
    start(session, "größe", b"a\0b", unique=b"\xff", priority=priority, background=background)
    assert sent(session) == [(packet_type, "größe".encode(), b"\xff", b"a\0b")]


@pytest.mark.parametrize("workload", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_workloads_are_bytes_like(session, workload):
    start(session, b"f", workload)
    assert sent(session) == [(P.SUBMIT_JOB, b"f", b"", b"ab")]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("f", "text"), TypeError, "workload must be bytes-like, not str: encode it"),
        (("f", 5), TypeError, "workload must be bytes-like, not int"),
        ((None, b""), TypeError, "function must be str or bytes, not NoneType"),
        (("a\0b", b""), ValueError, "NUL"),
    ],
)
def test_bad_submissions_send_nothing(session, arguments, error, text):
    with pytest.raises(error, match=text):
        start(session, *arguments)
    with pytest.raises(ValueError, match="NUL"):
        start(session, "f", b"", unique="a\0b")
    with pytest.raises(ValueError, match="more than 63 bytes"):
        ask(session, ask_status("H:" + "1" * 62))
    assert sent(session) == []
    with pytest.raises(ProtocolError):
        receive(session, (P.JOB_CREATED, b"H:1"))


def test_answers_come_in_the_order_of_requests(session):
    first = start(session, "f", b"")
    status = ask(session, ask_status("H:9"))
    refused = start(session, "g", b"")
    second = start(session, "f", b"", background=True)
    echo = ask(session, ask_echo(b"x"))
    changed = receive(
        session,
        (P.JOB_CREATED, b"H:1"),
        (P.STATUS_RES, b"H:9", b"1", b"0", b"3", b"4"),
        (P.ERROR, b"QUEUE_ERROR", b"Job queue is full"),
        (P.JOB_CREATED, b"H:2"),
        (P.ECHO_RES, b"x"),
    )
    assert changed == [first, status, refused, second, echo]
    assert (first.handle, second.handle) == ("H:1", "H:2")
    assert read_status(status) == JobStatus(known=True, running=False, numerator=3, denominator=4)
    assert echo.answer == (b"x",)
    error = refused.error
    assert isinstance(error, ServerError)
    assert (error.code, error.text) == ("QUEUE_ERROR", "Job queue is full")
    assert "job.example:4730" in str(error)
    assert "'g'" in str(error)
    assert refused.ended


def test_work_packets_belong_to_their_handle(session):
    first, second = submit(session, b"H:1"), submit(session, b"H:2")
    assert receive(session, (P.WORK_COMPLETE, b"H:2", b"two")) == [second]
    assert not first.ended
    receive(session, (P.WORK_COMPLETE, b"H:1", b"o\0ne"))
    assert (first.outcome, second.outcome) == (b"o\0ne", b"two")


def test_events_keep_their_order(session):
    job = submit(session)
    receive(
        session,
        (P.WORK_DATA, b"H:1", b"a\0"),
        (P.WORK_STATUS, b"H:1", b"1", b"2"),
        (P.WORK_WARNING, b"H:1", b"w"),
        (P.WORK_DATA, b"H:1", b""),
    )
    assert job.news == [JobData(b"a\0"), JobProgress(1, 2), JobWarning(b"w"), JobData(b"")]
    assert not job.ended


@pytest.mark.parametrize(
    ("text", "number"), [(b"12", 12), (b" -3", -3), (b"1.5", 1), (b"abc", 0), (b"", 0), (b"9" * 9999, None)]
)
def test_progress_that_is_no_number_is_survived(session, text, number):
    job = submit(session)
    receive(session, (P.WORK_STATUS, b"H:1", text, b"2"))
    assert job.news[0].denominator == 2
    if number is not None:
        assert job.news[0].numerator == number


@pytest.mark.parametrize("handle", [b"H:1", b"H:1\0"])
def test_failure(session, handle):
    job = submit(session)
    receive(session, (P.WORK_FAIL, handle))
    assert isinstance(job.failure, JobFailed)
    assert (job.failure.function, job.failure.handle) == ("f", "H:1")
    assert "H:1" in str(job.failure)
    assert session.ignored == 0


def test_exception(session):
    job = submit(session)
    receive(session, (P.WORK_EXCEPTION, b"H:1", b"ValueError: \xff"))
    assert isinstance(job.failure, JobException)
    assert job.failure.data == b"ValueError: \xff"
    assert "ValueError: \\xff" in str(job.failure)


def test_packets_for_unknown_handles_are_counted(session):
    job = submit(session)
    receive(session, (P.WORK_DATA, b"H:7", b"x"), (P.WORK_COMPLETE, b"H:1", b""), (P.WORK_FAIL, b"H:1"))
    assert job.failure is None
    assert job.news == []
    assert session.ignored == 2


def test_background_jobs_hear_nothing(session):
    job = submit(session, background=True)
    assert job.error is None
    assert job.ended
    assert isinstance(job.failure, JobError)
    assert "background" in str(job.failure)
    receive(session, (P.WORK_COMPLETE, b"H:1", b"x"))
    assert session.ignored == 1


def test_coalesced_jobs_each_get_all_once(session):
    jobs = [submit(session, unique="u") for _ in range(3)]
    other = submit(session, b"H:2")
    for _ in range(2):  # The worker sends the same twice, the server each of the two three times.
        receive(session, *[(P.WORK_DATA, b"H:1", b"a")] * 3)
    receive(session, *[(P.WORK_STATUS, b"H:1", b"1", b"2")] * 3, (P.WORK_DATA, b"H:2", b"b"))
    receive(session, *[(P.WORK_COMPLETE, b"H:1", b"end")] * 3)
    for job in jobs:
        assert job.news == [JobData(b"a"), JobData(b"a"), JobProgress(1, 2)]
        assert job.outcome == b"end"
    assert other.news == [JobData(b"b")]
    assert session.ignored == 0


def test_a_late_twin_gets_what_comes_after_it(session):
    early = submit(session, unique="u")
    receive(session, (P.WORK_DATA, b"H:1", b"a"))
    late = submit(session, unique="u")
    receive(session, *[(P.WORK_DATA, b"H:1", b"a")] * 2, *[(P.WORK_FAIL, b"H:1")] * 2)
    assert early.news == [JobData(b"a"), JobData(b"a")]
    assert late.news == [JobData(b"a")]
    assert early.failure is not None
    assert late.failure is not None
    assert early.failure is not late.failure
    assert session.ignored == 0


def test_a_twin_that_was_given_up_hears_no_more_and_the_other_does(session):
    kept, given_up = submit(session, unique="u"), submit(session, unique="u")
    session.forget(given_up)
    receive(session, (P.WORK_DATA, b"H:1", b"a"), (P.WORK_COMPLETE, b"H:1", b"end"))
    assert kept.news == [JobData(b"a")]
    assert kept.outcome == b"end"
    assert not given_up.news
    assert not given_up.ended
    assert session.in_flight == (0, 0)
    assert session.awaited == 0


def test_how_much_is_awaited(session):
    assert session.awaited == 0
    submit(session, unique="u")
    session.ask(ask_echo(b"x"))
    assert (session.awaited, session.in_flight) == (2, (1, 1))
    receive(session, (P.ECHO_RES, b"x"), (P.WORK_COMPLETE, b"H:1", b"end"))
    assert session.awaited == 0


def test_a_background_twin_gets_no_copy(session):
    submit(session, unique="u", background=True)
    job = submit(session, unique="u")
    receive(session, (P.WORK_DATA, b"H:1", b"a"), (P.WORK_DATA, b"H:1", b"a"))
    assert job.news == [JobData(b"a"), JobData(b"a")]


def test_a_server_that_sends_no_copies(session):
    jobs = [submit(session, unique="u") for _ in range(2)]
    receive(
        session, (P.WORK_DATA, b"H:1", b"a"), (P.WORK_DATA, b"H:1", b"b"), (P.WORK_COMPLETE, b"H:1", b"e")
    )
    for job in jobs:
        assert job.news == [JobData(b"a"), JobData(b"b")]
        assert job.outcome == b"e"


def test_a_reused_handle_is_a_new_job(session):
    submit(session, unique="u")
    submit(session, unique="u")
    receive(session, (P.WORK_COMPLETE, b"H:1", b"x"))
    again = submit(session)
    receive(session, (P.WORK_COMPLETE, b"H:1", b"x"))
    assert again.ended


def test_one_byte_at_a_time(session):
    job = start(session, "f", b"")
    stream = (
        pack_response(P.JOB_CREATED, b"H:1")
        + pack_response(P.WORK_DATA, b"H:1", b"a")
        + pack_response(P.WORK_COMPLETE, b"H:1", b"end")
    )
    changed = [request for i in range(len(stream)) for request in session.receive(stream[i : i + 1])]
    assert changed == [job, job, job]
    assert (job.handle, job.news, job.outcome) == ("H:1", [JobData(b"a")], b"end")


@pytest.mark.parametrize(
    ("garbage", "error"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", BadMagic),
        (pack_request(P.JOB_CREATED, b"H:2"), BadMagic),
        (b"\0RES\0\0\0\x63\0\0\0\0", UnknownPacketType),
        (pack_response(P.NOOP), ProtocolError),
        (pack_response(P.ECHO_RES, b"x"), ProtocolError),
        (pack_response(P.JOB_ASSIGN, b"H:1", b"f", b""), ProtocolError),
    ],
)
def test_garbage_ends_all_that_is_in_flight(session, garbage, error):
    done, running = submit(session, b"H:1"), submit(session, b"H:2")
    waiting = start(session, "g", b"")
    with pytest.raises(error, match=r"job\.example:4730") as caught:
        session.receive(pack_response(P.WORK_COMPLETE, b"H:1", b"") + garbage)
    session.connection_lost(caught.value)
    assert done.failure is None
    assert type(running.failure) is error
    assert type(waiting.error) is error
    assert running.failure is not waiting.error


def test_an_answer_to_nothing_is_garbage(session):
    with pytest.raises(ProtocolError, match="ERROR answers nothing"):
        receive(session, (P.ERROR, b"X", b"y"))


def test_a_lost_connection_ends_all_that_is_in_flight(session):
    done, running = submit(session, b"H:1"), submit(session, b"H:2")
    receive(session, (P.WORK_COMPLETE, b"H:1", b""))
    waiting = start(session, "g", b"")
    status = ask(session, ask_status("H:9"))
    session.connection_lost("power failure")
    assert done.failure is None
    assert running.error is None
    for error, *words in (
        (running.failure, "power failure, while", "result of job H:2", "'f'"),
        (waiting.error, "acknowledgement", "'g'"),
        (waiting.failure, "acknowledgement", "'g'"),
        (status.error, "status of job H:9"),
    ):
        assert isinstance(error, ConnectionLost)
        for word in words:
            assert word in str(error)


def test_a_connection_lost_in_the_middle_of_a_packet(session):
    job = submit(session)
    session.receive(pack_response(P.WORK_COMPLETE, b"H:1", b"result")[:-1])
    session.connection_lost("gone")
    assert "gone, in the middle of a packet" in str(job.failure)
