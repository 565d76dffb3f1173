"""The worker's session: bytes in, state out, no socket."""

import math

import pytest

from gearcore._codec import Parser, pack_response
from gearcore.errors import BadMagic, ProtocolError, ServerError
from gearcore.protocol import PacketType as P
from gearcore.session.worker import (
    TRANSITIONS,
    Assignment,
    Submitted,
    WorkerEvent,
    WorkerSession,
    WorkerState,
)

GRAB = (P.GRAB_JOB_ALL,)
SLEEP = (P.PRE_SLEEP,)
LEAVE = (P.RESET_ABILITIES,)


@pytest.fixture
def session():
    """One that has grabbed."""
    session = WorkerSession("job.example:4730", [b"f"])
    session.start()
    session.grab()
    session.data_to_send()
    return session


def sent(session):
    return [(P(packet.type), *packet.args) for packet in Parser().feed(session.data_to_send())]


def receive(session, *packets):
    return session.receive(b"".join(pack_response(*packet) for packet in packets))


def assign(session, handle=b"H:1"):
    receive(session, (P.JOB_ASSIGN_UNIQ, handle, b"f", b"", b"x"))


def test_start_says_who_it_is_and_what_it_can_do():
    session = WorkerSession("s", [b"first", b"second"], b"me")
    assert sent(session) == []
    session.start()
    assert session.state is WorkerState.AWAKE
    assert sent(session) == [(P.SET_CLIENT_ID, b"me"), (P.CAN_DO, b"second"), (P.CAN_DO, b"first")]


def test_no_job_sleep_and_wake(session):
    assert not session.answered
    assert session.expects
    assert receive(session, (P.NO_JOB,)) == []
    assert session.answered
    assert not session.expects
    assert session.state is WorkerState.SLEEPING
    assert sent(session) == [SLEEP]
    receive(session, (P.NOOP,))
    assert session.state is WorkerState.AWAKE
    session.grab()
    assert sent(session) == [GRAB]


def test_a_sleep_that_is_too_long(session):
    receive(session, (P.NO_JOB,))
    sent(session)
    session.oversleep()
    session.grab()
    assert sent(session) == [GRAB]
    # The NOOP may have been on its way.
    receive(session, (P.NOOP,), (P.JOB_ASSIGN, b"H:1", b"f", b""))
    assert session.in_hand == 1
    assert sent(session) == []


@pytest.mark.parametrize(
    ("packet", "assignment"),
    [
        ((P.JOB_ASSIGN, b"H:1", b"f", b"w\0x"), Assignment(b"H:1", b"f", b"", b"", b"w\0x")),
        ((P.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"u", b"w\0x"), Assignment(b"H:1", b"f", b"u", b"", b"w\0x")),
        ((P.JOB_ASSIGN_ALL, b"H:1", b"f", b"u", b"r", b"w\0"), Assignment(b"H:1", b"f", b"u", b"r", b"w\0")),
    ],
)
def test_all_forms_of_assignment(session, packet, assignment):
    assert receive(session, packet) == [assignment]
    assert (session.in_hand, session.grabs, session.in_use) == (1, 0, 1)
    assert sent(session) == []


def test_several_jobs_in_hand(session):
    session.grab(2)
    assert sent(session) == [GRAB, GRAB]
    assert session.in_use == 3
    assign(session, b"H:1")
    assign(session, b"H:2")
    session.complete(b"H:2", b"r")
    assert sent(session) == [(P.WORK_COMPLETE, b"H:2", b"r")]
    receive(session, (P.NO_JOB,))
    assert session.state is WorkerState.SLEEPING  # with a job in hand
    session.complete(b"H:1", b"r")
    assert sent(session) == [SLEEP, (P.WORK_COMPLETE, b"H:1", b"r")]


def test_it_sleeps_only_when_no_grab_is_on_its_way(session):
    session.grab()
    sent(session)
    receive(session, (P.NO_JOB,))
    assert session.state is WorkerState.AWAKE
    assert sent(session) == []
    assign(session)
    assert session.state is WorkerState.AWAKE


def test_who_wakes_tries_one_grab_first_and_more_with_every_job():
    session = WorkerSession("s", [b"f"])
    assert session.wanted == 0
    session.start()
    for number in range(1, 6):
        assert session.wanted == number
        session.grab()
        assign(session, b"H:%d" % number)
    session.grab(2)
    assert session.wanted == 4
    receive(session, (P.NO_JOB,))
    assert session.wanted == 0
    receive(session, (P.NO_JOB,), (P.NOOP,))
    assert session.wanted == 1


def test_updates_while_working(session):
    assign(session)
    session.update(P.WORK_DATA, b"H:1", b"a\0b")
    session.update(P.WORK_WARNING, b"H:1", bytearray(b"w"))
    session.update(P.WORK_STATUS, b"H:1", b"1", b"2")
    assert sent(session) == [
        (P.WORK_DATA, b"H:1", b"a\0b"),
        (P.WORK_WARNING, b"H:1", b"w"),
        (P.WORK_STATUS, b"H:1", b"1", b"2"),
    ]


@pytest.mark.parametrize(
    ("end", "packet"),
    [
        (lambda s: s.complete(b"H:1", b"r"), (P.WORK_COMPLETE, b"H:1", b"r")),
        (lambda s: s.fail(b"H:1"), (P.WORK_FAIL, b"H:1")),
        (lambda s: s.raised(b"H:1", b"E: x"), (P.WORK_EXCEPTION, b"H:1", b"E: x")),
        (lambda s: s.give_back(b"H:1"), None),
    ],
)
def test_a_job_ends_once(session, end, packet):
    assign(session)
    end(session)
    assert sent(session) == ([] if packet is None else [packet])
    with pytest.raises(ValueError, match="H:1 has ended"):
        end(session)
    with pytest.raises(ValueError, match="H:1 has ended"):
        session.update(P.WORK_DATA, b"H:1", b"late")
    assert sent(session) == []


@pytest.mark.parametrize("result", ["text", 5, None])
def test_a_result_that_is_not_bytes_leaves_the_job_in_hand(session, result):
    assign(session)
    with pytest.raises(TypeError, match="bytes-like"):
        session.complete(b"H:1", result)
    session.fail(b"H:1")
    assert sent(session) == [(P.WORK_FAIL, b"H:1")]


def test_a_submission_by_the_way(session):
    assign(session)
    session.submit("first", P.SUBMIT_JOB_BG, b"f", b"", b"w")
    session.submit("second", P.SUBMIT_JOB_EPOCH, b"f", b"", b"1", b"w")
    session.grab()
    assert sent(session) == [
        (P.SUBMIT_JOB_BG, b"f", b"", b"w"),
        (P.SUBMIT_JOB_EPOCH, b"f", b"", b"1", b"w"),
        GRAB,
    ]
    first, complaint, second = receive(
        session,
        (P.JOB_CREATED, b"H:2"),
        (P.ERROR, b"JOB_NOT_FOUND", b"of a job before"),
        (P.ERROR, b"QUEUE_ERROR", b"Job queue is full"),
    )
    assert first == Submitted("first", None)
    assert complaint.code == "JOB_NOT_FOUND"
    assert second.token == "second"
    assert second.error.code == "QUEUE_ERROR"
    assert session.grabs == 1


def test_what_is_offered_can_change(session):
    assign(session)
    session.offer([b"f", b"new", b"newer"])
    # Nothing is said of f: a job of it is in hand, and would be taken back.
    assert sent(session) == [(P.CAN_DO, b"newer"), (P.CAN_DO, b"new")]
    session.complete(b"H:1", b"")
    session.offer([b"newer"])
    assert sent(session)[1:] == [(P.CANT_DO, b"f"), (P.CANT_DO, b"new")]
    assert session.state is WorkerState.AWAKE


def test_a_new_offer_wakes_a_sleeper(session):
    receive(session, (P.NO_JOB,))
    sent(session)
    session.offer([b"f", b"new"])
    assert sent(session) == [(P.CAN_DO, b"new")]
    assert session.state is WorkerState.AWAKE
    assert session.wanted == 1


def test_who_it_is_can_change(session):
    session.identify(b"somebody")
    assert sent(session) == [(P.SET_CLIENT_ID, b"somebody")]


def test_what_is_in_hand(session):
    assert not session.has(b"H:1")
    assign(session)
    assert session.has(b"H:1")
    session.fail(b"H:1")
    assert not session.has(b"H:1")


def test_an_alarm_wakes_a_sleeper(session):
    assert session.due == math.inf
    session.delay(10.5)
    session.delay(10)
    assert session.due == 10
    receive(session, (P.NO_JOB,))
    session.alarm()
    assert session.state is WorkerState.AWAKE
    assert session.due == 10.5
    session.alarm()
    assert session.state is WorkerState.AWAKE
    assert session.due == pytest.approx(11.1)  # for a server whose clock is behind


def test_stop_while_asleep(session):
    receive(session, (P.NO_JOB,))
    sent(session)
    session.stop()
    assert session.state is WorkerState.STOPPED
    assert sent(session) == [LEAVE]
    receive(session, (P.NOOP,))
    session.stop()
    assert sent(session) == []


def test_stop_waits_for_the_answer_to_a_grab(session):
    session.stop()
    session.stop()
    assert sent(session) == []
    receive(session, (P.NO_JOB,))
    assert session.state is WorkerState.STOPPED
    assert sent(session) == [LEAVE]


@pytest.mark.parametrize("stop_first", [True, False])
def test_stop_lets_the_job_end(session, stop_first):
    if stop_first:
        session.stop()
    assign(session)
    if not stop_first:
        session.stop()
    assert session.state is WorkerState.LEAVING
    assert session.wanted == 0
    session.complete(b"H:1", b"r")
    assert session.state is WorkerState.STOPPED
    assert sent(session) == [(P.WORK_COMPLETE, b"H:1", b"r"), LEAVE]


def test_stop_waits_for_what_was_submitted(session):
    assign(session)
    session.submit("token", P.SUBMIT_JOB_BG, b"f", b"", b"w")
    session.give_back(b"H:1")
    session.stop()
    assert session.state is WorkerState.LEAVING
    receive(session, (P.JOB_CREATED, b"H:2"))
    assert session.state is WorkerState.STOPPED


def test_stop_before_the_start():
    session = WorkerSession("s", [b"f"])
    session.stop()
    assert session.state is WorkerState.STOPPED
    assert sent(session) == []


def test_a_complaint_about_a_job_is_no_answer_to_the_grab(session):
    assign(session)
    session.complete(b"H:1", b"")
    session.grab()
    [complaint] = receive(session, (P.ERROR, b"JOB_NOT_FOUND", b"no such job"))
    assert isinstance(complaint, ServerError)
    assert complaint.code == "JOB_NOT_FOUND"
    assert session.grabs == 1
    assign(session, b"H:2")
    assert session.in_hand == 1


@pytest.mark.parametrize("stop", [True, False])
def test_a_refused_grab_is_raised(session, stop):
    if stop:
        session.stop()
    with pytest.raises(ServerError, match=r"unknown_command: what\? .*job\.example:4730"):
        receive(session, (P.ERROR, b"unknown_command", b"what?"))
    assert not session.answered


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"220 mail.example ESMTP\r\n", BadMagic),
        (pack_response(P.NO_JOB) + pack_response(P.NO_JOB), ProtocolError),
        (pack_response(P.NO_JOB) + pack_response(P.JOB_ASSIGN, b"H:1", b"f", b""), ProtocolError),
        (pack_response(P.NO_JOB) + pack_response(P.JOB_ASSIGN_ALL, *[b"H:1"] * 5), ProtocolError),
        (pack_response(P.JOB_CREATED, b"H:1"), ProtocolError),
    ],
)
def test_what_must_not_come(session, stream, error):
    with pytest.raises(error, match=r"job\.example:4730"):
        session.receive(stream)


@pytest.mark.parametrize("state", WorkerState)
@pytest.mark.parametrize("event", WorkerEvent)
def test_every_transition_is_in_the_table_or_refused(state, event):
    session = WorkerSession("s", [])
    session.state = state
    if (state, event) in TRANSITIONS:
        session._move(event)
        assert session.state is TRANSITIONS[state, event][0]
    else:
        with pytest.raises(RuntimeError, match=f"{state.name} cannot take {event.name}"):
            session._move(event)
        assert session.state is state


def test_every_state_but_the_last_can_be_left_and_reached():
    ends = {state for state, _ in TRANSITIONS.values()}
    starts = {state for (state, _), (end, _) in TRANSITIONS.items() if end is not state}
    assert starts == set(WorkerState) - {WorkerState.STOPPED}
    assert ends == set(WorkerState) - {WorkerState.IDLE}


@pytest.mark.parametrize("end", ["complete", "update"])
def test_a_large_payload_is_sent_from_where_it_is(session, end):
    assign(session)
    large = bytes(range(256)) * 256
    if end == "complete":
        session.complete(b"H:1", large)
    else:
        session.update(P.WORK_DATA, b"H:1", large)
    session.grab()
    parts = session.parts_to_send()
    assert len(parts) == 3
    assert parts[1] is large
    kind = P.WORK_COMPLETE if end == "complete" else P.WORK_DATA
    packets = [(packet.type, *packet.args) for packet in Parser().feed(b"".join(parts))]
    assert packets == [(kind, b"H:1", large), GRAB]
    assert session.parts_to_send() == []


def test_small_packets_are_sent_as_one_piece(session):
    assign(session)
    session.complete(b"H:1", b"small")
    session.grab()
    (part,) = session.parts_to_send()
    assert [packet.type for packet in Parser().feed(part)] == [P.WORK_COMPLETE, P.GRAB_JOB_ALL]


def test_a_large_payload_that_can_change_is_copied(session):
    assign(session)
    large = bytearray(2**16)
    session.complete(b"H:1", large)
    large[:] = b"x" * 2**16
    (packet,) = Parser().feed(b"".join(session.parts_to_send()))
    assert packet.args == (b"H:1", bytes(2**16))
