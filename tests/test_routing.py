"""Which server a unique id goes to, and what is done with servers that do not live."""

from collections import Counter

import pytest

from gearcore.errors import ConnectionLost, ProtocolError
from gearcore.protocol import PacketType as P
from gearcore.session.client import ClientSession, JobRequest, Terms, new_job
from gearcore.session.fleet import RESUBMISSIONS, Fleet, State
from gearcore.session.requests import ask_echo
from gearcore.session.routing import Ring

NAMES = ["a:4730", "b:4730", "c:4730"]
UNIQUES = [b"unique %d" % number for number in range(3000)]


def test_the_order_is_the_same_in_every_process():
    ring = Ring(NAMES)
    assert [ring.order(unique) for unique in (b"a", b"b", b"c", b"\xff")] == [
        (0, 2, 1),
        (1, 0, 2),
        (0, 2, 1),
        (1, 2, 0),
    ]


def test_the_order_of_the_servers_does_not_matter():
    ring, other = Ring(NAMES), Ring(NAMES[::-1])
    for unique in UNIQUES[:100]:
        assert [NAMES[i] for i in ring.order(unique)] == [NAMES[::-1][i] for i in other.order(unique)]


def test_servers_get_equal_shares():
    ring = Ring(NAMES)
    shares = Counter(ring.order(unique)[0] for unique in UNIQUES)
    assert all(700 < share < 1300 for share in shares.values())
    assert all(sorted(ring.order(unique)) == [0, 1, 2] for unique in UNIQUES[:50])


def test_one_server_more_takes_jobs_from_the_others_and_moves_none_between_them():
    ring, larger = Ring(NAMES), Ring([*NAMES, "d:4730"])
    moved = [(ring.order(unique)[0], larger.order(unique)[0]) for unique in UNIQUES]
    assert {after for before, after in moved if after != before} == {3}
    assert 500 < sum(after == 3 for _, after in moved) < 1000


@pytest.fixture
def fleet():
    return Fleet(NAMES, lambda: 0.999)


def connect(place):
    session = ClientSession(place.name)
    place.connected(session)
    return session


def job(unique=b"", resubmit=False, background=False):
    terms = Terms(P.SUBMIT_JOB, resubmit=resubmit, background=background)
    return new_job(JobRequest, terms, b"f", b"x", unique)


def test_who_lives_is_chosen_first(fleet):
    a, b, c = fleet.places
    assert fleet.choose(b"a") is a  # nobody has tried it yet
    a.failed(0)
    assert fleet.choose(b"a") is c
    c.failed(0)
    connect(b)
    for unique in (b"", b"a", b"b", b"c", b"\xff"):
        assert fleet.choose(unique) is b
    fleet.silent(b)
    assert fleet.choose(b"a") is b
    a.state = State.CONNECTING
    assert fleet.choose(b"a", [b]) is a
    assert fleet.choose(b"a", [a, b]) is c
    assert fleet.choose(b"a", [a, b, c]) is None


def test_jobs_without_a_unique_id_go_anywhere():
    chances = iter([0.0, 0.4, 0.9, 0.4])
    fleet = Fleet(NAMES, lambda: next(chances))
    assert [fleet.choose(b"").index for _ in range(3)] == [0, 1, 2]
    fleet.places[0].state = State.DEAD
    assert fleet.choose(b"").index == 1


def test_a_dead_server_is_tried_again_beside_a_live_one(fleet):
    a, b, _ = fleet.places
    a.failed(10.0)
    assert fleet.due(100.0) == []  # nobody could be used meanwhile
    connect(b)
    assert fleet.due(10.0) == []
    assert 10.05 < a.retry_at <= 10.1
    assert fleet.due(10.1) == [a]
    assert fleet.next_try() == a.retry_at
    for _ in range(12):
        a.failed(0.0)
    assert 29 < a.retry_at <= 30
    session = connect(a)
    session.receive(b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions")
    fleet.lost(a, "gone", 0.0)
    assert a.retry_at <= 0.1  # it had answered


def test_what_was_not_acknowledged_goes_elsewhere(fleet):
    session = connect(fleet.places[0])
    waiting, echo, abandoned = job(), ask_echo(b"x"), job()
    abandoned.abandoned = True
    for request in (waiting, echo, abandoned):
        session.ask(request)
    again, ended = fleet.lost(fleet.places[0], "power failure", 0.0)
    assert [request for request, _ in again] == [waiting, echo]
    for _, error in again:
        assert isinstance(error, ConnectionLost)
        assert "power failure, while waiting for" in str(error)
    assert abandoned in ended
    assert not waiting.answered
    other = connect(fleet.places[1])
    other.data_to_send()
    other.ask(waiting)
    assert b"\0\0\0\x07" in other.data_to_send()


def test_with_one_server_there_is_no_elsewhere():
    fleet = Fleet(["a:4730"])
    waiting, lost, kept = job(), job(), job(resubmit=True)
    session = connect(fleet.places[0])
    for request in (lost, kept, waiting):
        session.ask(request)
    session.receive(b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions")
    session.receive(b"\0RES\0\0\0\x08\0\0\0\x03H:1\0RES\0\0\0\x08\0\0\0\x03H:2")
    again, ended = fleet.lost(fleet.places[0], ProtocolError("nonsense"), 0.0)
    assert [request for request, _ in again] == [kept]
    assert type(again[0][1]) is ProtocolError
    assert type(waiting.error) is ProtocolError
    assert type(lost.failure) is ProtocolError
    assert lost.error is None
    assert lost in ended
    assert kept.acknowledged
    assert not kept.answered


def test_nothing_goes_round_for_ever(fleet):
    request = job()
    for number in range(RESUBMISSIONS + 1):
        place = fleet.places[number % 3]
        session = connect(place)
        session.ask(request)
        again, _ = fleet.lost(place, "it crashed", 0.0)
        assert bool(again) == (number < RESUBMISSIONS)
    assert isinstance(request.error, ConnectionLost)
