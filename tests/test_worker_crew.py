"""Which of a worker's sessions may grab, and how much."""

from gearcore._codec import pack_response
from gearcore.protocol import PacketType as P
from gearcore.session.crew import SOON, Crew, Lane
from gearcore.session.worker import WorkerSession

LANE = Lane((b"f",))


def session(crew, lane=LANE):
    session = WorkerSession("s", [b"f"])
    session.start()
    crew.add(session, lane)
    return session


def assign(session, count=None):
    """Answer so many grabs by a job, or all."""
    for _ in range(session.grabs if count is None else count):
        session.receive(pack_response(P.JOB_ASSIGN, b"H:%d" % assign.number, b"f", b""))
        assign.number += 1


assign.number = 0


def settle(crew, *sessions):
    """Grab and answer until nothing changes; returns how many jobs each session has in hand."""
    while True:
        crew.grab()
        if not any(s.grabs for s in sessions):
            return [s.in_hand for s in sessions]
        for s in sessions:
            assign(s)


def test_one_at_a_time():
    crew = Crew(1, 0)
    one = session(crew)
    crew.grab()
    crew.grab()
    assert one.grabs == 1
    assign(one)
    crew.grab()
    assert one.grabs == 0
    one.complete(b"H:%d" % (assign.number - 1), b"")
    crew.grab()
    assert one.grabs == 1


def test_no_more_than_there_are_slots_whatever_the_number_of_servers():
    crew = Crew(4, 0)
    sessions = [session(crew) for _ in range(3)]
    assert sum(settle(crew, *sessions)) == 4
    assert max(s.in_hand for s in sessions) == 2


def test_servers_take_turns():
    crew = Crew(1, 0)
    sessions = [session(crew) for _ in range(3)]
    order = []
    for _ in range(9):
        crew.grab()
        [asked] = [s for s in sessions if s.grabs]
        order.append(sessions.index(asked))
        number = assign.number
        assign(asked)
        asked.complete(b"H:%d" % number, b"")
    assert order == order[:3] * 3
    assert sorted(order[:3]) == [0, 1, 2]


def test_a_server_that_sleeps_is_left_out():
    crew = Crew(2, 0)
    one, other = session(crew), session(crew)
    crew.grab()
    one.receive(pack_response(P.NO_JOB))
    assign(other)
    crew.grab()
    assert (one.grabs, other.grabs) == (0, 1)


def test_a_server_that_left_counts_no_more():
    crew = Crew(1, 0)
    one, other = session(crew), session(crew)
    crew.grab()
    crew.remove(one)
    crew.grab()
    assert other.grabs == 1


def test_prefetch_waits_until_it_is_known_how_long_jobs_take():
    crew = Crew(1, 8)
    one = session(crew)
    assert settle(crew, one) == [1]
    crew.note_duration(SOON / 1000, 1)
    assert settle(crew, one) == [9]


def test_prefetch_is_for_each_server():
    crew = Crew(2, 4)
    sessions = [session(crew), session(crew)]
    crew.note_duration(0.0, 1)
    assert sum(settle(crew, *sessions)) == 2 + 2 * 4


def test_nothing_is_prefetched_that_would_not_start_soon():
    crew = Crew(1, 100)
    crew.note_duration(SOON / 10, 1)
    assert crew.depth == 10
    crew.note_duration(10 * SOON, 1)
    assert crew.depth == 0
    crew.note_duration(0.001 * SOON * 50, 50)
    assert crew.depth == 100


def test_a_lane_with_a_limit():
    crew = Crew(8, 8)
    crew.note_duration(0.0, 1)
    limited, free = session(crew, Lane((b"g",), 2)), session(crew)
    assert settle(crew, limited, free) == [2, 16]


def test_a_limit_of_jobs_in_all():
    crew = Crew(8, 8)
    crew.note_duration(0.0, 1)
    one, other = session(crew), session(crew)
    for _ in range(5):
        crew.grab(limit=3)
        assign(one)
        assign(other)
    assert one.in_hand + other.in_hand == 3
    alone = Crew(8, 8)
    one = session(alone)
    for _ in range(5):
        alone.grab(limit=3)
        assign(one)
    assert one.in_hand == 3
