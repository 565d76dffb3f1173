"""A job's life in the broker: submitted, joined, queued, handed out, reported on, ended."""

import struct

import pytest
from world import PREFIX, World, handle

from gearcore._codec import pack_response
from gearcore.broker import Admin, Broker
from gearcore.protocol import PacketType as P

SUBMITS = ["", "_HIGH", "_LOW", "_BG", "_HIGH_BG", "_LOW_BG"]


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("type", SUBMITS)
def test_each_submission_is_acknowledged_with_a_handle_of_its_own(world, type):
    client = world.peer()
    assert client.submit(b"f", b"one", type=type) == handle(1)
    assert client.submit(b"f", b"two", type=type) == handle(2)
    assert len(world.broker) == 2


@pytest.mark.parametrize(
    ("grab", "answer", "with_unique"),
    [
        (P.GRAB_JOB, P.JOB_ASSIGN, False),
        (P.GRAB_JOB_UNIQ, P.JOB_ASSIGN_UNIQ, True),
        (P.GRAB_JOB_ALL, P.JOB_ASSIGN_UNIQ, True),
    ],
)
def test_a_grab_gets_the_job_in_its_own_form(world, grab, answer, with_unique):
    world.peer().submit(b"f", b"work\0load", b"id")
    worker = world.worker(b"f")
    unique = (b"id",) if with_unique else ()
    assert worker.ask(grab) == (answer, handle(1), b"f", *unique, b"work\0load")
    assert worker.ask(grab) == (P.NO_JOB,)


def test_a_job_with_a_reducer_shows_it_to_grab_job_all_alone(world):
    client, worker = world.peer(), world.worker(b"f")
    for unique in (b"a", b"b", b"c"):
        client.ask(P.SUBMIT_REDUCE_JOB, b"f", unique, b"reduce", b"", b"w")
    assert worker.ask(P.GRAB_JOB_ALL) == (P.JOB_ASSIGN_ALL, handle(1), b"f", b"a", b"reduce", b"w")
    assert worker.ask(P.GRAB_JOB_UNIQ) == (P.JOB_ASSIGN_UNIQ, handle(2), b"f", b"b", b"w")
    assert worker.ask(P.GRAB_JOB) == (P.JOB_ASSIGN, handle(3), b"f", b"w")


def test_priorities_come_first_and_then_the_order_of_arrival(world):
    client, worker = world.peer(), world.worker(b"f")
    for workload, kind in [
        (b"low 1", "_LOW"),
        (b"normal 1", ""),
        (b"low 2", "_LOW_BG"),
        (b"high 1", "_HIGH"),
        (b"normal 2", "_BG"),
        (b"high 2", "_HIGH_BG"),
    ]:
        client.submit(b"f", workload, type=kind)
    grabbed = [worker.ask(P.GRAB_JOB)[-1] for _ in range(6)]
    assert grabbed == [b"high 1", b"high 2", b"normal 1", b"normal 2", b"low 1", b"low 2"]


def test_the_highest_priority_wins_over_all_functions_of_a_worker_and_equal_ones_take_turns(world):
    client, worker = world.peer(), world.worker(b"a", b"b", b"c")
    for function in (b"a", b"b", b"c"):
        client.submit(function, function + b"1")
        client.submit(function, function + b"2")
    client.submit(b"a", b"high", type="_HIGH")
    client.submit(b"b", b"low", type="_LOW")
    grabbed = [worker.ask(P.GRAB_JOB)[-1] for _ in range(8)]
    assert grabbed[0] == b"high"
    assert grabbed[-1] == b"low"
    assert [w[-1:] for w in grabbed[1:7]] == [b"1"] * 3 + [b"2"] * 3
    assert {w[:1] for w in grabbed[1:4]} == {b"a", b"b", b"c"}


def test_a_worker_gets_jobs_of_its_functions_only(world):
    client, worker = world.peer(), world.worker(b"mine")
    client.submit(b"other")
    assert worker.grab() is None
    client.submit(b"mine")
    assert worker.grab() == handle(2)


@pytest.mark.parametrize("kind", [P.WORK_DATA, P.WORK_WARNING])
def test_updates_reach_the_client_while_the_job_goes_on(world, kind):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    worker.grab()
    worker.send(kind, handle(1), b"part\0one")
    worker.send(P.WORK_STATUS, handle(1), b"3", b"10")
    assert client.received() == [(kind, handle(1), b"part\0one"), (P.WORK_STATUS, handle(1), b"3", b"10")]
    assert client.ask(P.GET_STATUS, handle(1)) == (P.STATUS_RES, handle(1), b"1", b"1", b"3", b"10")
    assert worker.received() == []


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ((P.WORK_COMPLETE, b"done\0!"), (P.WORK_COMPLETE, b"done\0!")),
        ((P.WORK_COMPLETE, b""), (P.WORK_COMPLETE, b"")),
        ((P.WORK_FAIL,), (P.WORK_FAIL,)),
        ((P.WORK_EXCEPTION, b"why"), (P.WORK_FAIL,)),
    ],
)
def test_the_end_of_a_job_reaches_the_client_and_the_job_is_forgotten(world, sent, arrives):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f", unique=b"u")
    worker.grab()
    kind, *rest = sent
    worker.send(kind, handle(1), *rest)
    assert client.received() == [(arrives[0], handle(1), *arrives[1:])]
    assert len(world.broker) == 0
    assert client.ask(P.GET_STATUS, handle(1)) == (P.STATUS_RES, handle(1), b"0", b"0", b"0", b"0")
    assert worker.ask(*sent[:1], handle(1), *rest)[:2] == (P.ERROR, b"JOB_NOT_FOUND")
    assert client.submit(b"f", unique=b"u") == handle(2)


def test_a_client_that_asked_for_exceptions_gets_them(world):
    plain, curious, worker = world.peer(), world.peer(), world.worker(b"f")
    assert curious.ask(P.OPTION_REQ, b"exceptions") == (P.OPTION_RES, b"exceptions")
    plain.submit(b"f", unique=b"u")
    curious.submit(b"f", unique=b"u")
    worker.grab()
    worker.send(P.WORK_EXCEPTION, handle(1), b"what went wrong")
    assert curious.received() == [(P.WORK_EXCEPTION, handle(1), b"what went wrong")]
    assert plain.received() == [(P.WORK_FAIL, handle(1))]


@pytest.mark.parametrize("option", [b"Exceptions", b"exceptions\0"])
def test_options_are_taken_as_gearmand_takes_them(world, option):
    assert world.peer().ask(P.OPTION_REQ, option) == (P.OPTION_RES, option)


def test_an_unknown_option_is_refused(world):
    kind, code, _ = world.peer().ask(P.OPTION_REQ, b"turbo")
    assert (kind, code) == (P.ERROR, b"UNKNOWN_OPTION")


def test_a_worker_may_end_a_job_without_the_nul_before_an_empty_result(world):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    worker.grab()
    worker.raw(b"\0REQ\0\0\0\x0d\0\0\0\x08" + handle(1))
    assert client.received() == [(P.WORK_COMPLETE, handle(1), b"")]


def test_a_nul_behind_the_handle_of_work_fail_is_not_passed_on(world):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    worker.grab()
    worker.send(P.WORK_FAIL, handle(1) + b"\0")
    assert client.received() == [(P.WORK_FAIL, handle(1))]


@pytest.mark.parametrize(
    "packet",
    [
        (P.WORK_DATA, b"x"),
        (P.WORK_WARNING, b"x"),
        (P.WORK_STATUS, b"1", b"2"),
        (P.WORK_COMPLETE, b"x"),
        (P.WORK_FAIL,),
        (P.WORK_EXCEPTION, b"x"),
    ],
    ids=lambda packet: packet[0].name,
)
def test_only_the_worker_that_has_a_job_may_speak_of_it(world, packet):
    client, worker, other = world.peer(), world.worker(b"f"), world.worker(b"f")
    client.submit(b"f")
    kind, *rest = packet
    assert other.ask(kind, handle(1), *rest)[:2] == (P.ERROR, b"JOB_NOT_FOUND")
    worker.grab()
    assert other.ask(kind, handle(1), *rest)[:2] == (P.ERROR, b"JOB_NOT_FOUND")
    assert client.received() == []
    worker.send(P.WORK_COMPLETE, handle(1), b"")
    assert client.received() == [(P.WORK_COMPLETE, handle(1), b"")]


@pytest.mark.parametrize(
    "unknown",
    [
        b"",
        b"H",
        b"H:test",
        b"H:test:",
        b"H:test:2",
        b"H:test:01",
        b"H:test:0",
        b"H:test:-1",
        b"H:test:1x",
        b"H:test:" + b"9" * 19,
        b"H:test:" + b"9" * 200,
        b"H:tesu:1",
    ],
)
def test_a_handle_that_no_job_has_is_unknown(world, unknown):
    client = world.peer()
    client.submit(b"f")
    assert client.ask(P.GET_STATUS, unknown) == (P.STATUS_RES, unknown, b"0", b"0", b"0", b"0")


class TestCoalescing:
    def test_equal_uniques_of_a_function_share_one_job(self, world):
        one, two, worker = world.peer(), world.peer(), world.worker(b"f")
        assert one.submit(b"f", b"first", b"u") == handle(1)
        assert two.submit(b"f", b"second", b"u") == handle(1)
        assert worker.ask(P.GRAB_JOB_UNIQ) == (P.JOB_ASSIGN_UNIQ, handle(1), b"f", b"u", b"first")
        assert worker.grab() is None
        worker.send(P.WORK_COMPLETE, handle(1), b"result")
        assert one.received() == two.received() == [(P.WORK_COMPLETE, handle(1), b"result")]

    def test_a_running_job_can_be_joined(self, world):
        one, two, worker = world.peer(), world.peer(), world.worker(b"f")
        one.submit(b"f", unique=b"u")
        worker.grab()
        worker.send(P.WORK_DATA, handle(1), b"missed")
        assert two.submit(b"f", unique=b"u") == handle(1)
        worker.send(P.WORK_COMPLETE, handle(1), b"result")
        assert two.received() == [(P.WORK_COMPLETE, handle(1), b"result")]

    def test_the_same_unique_in_two_functions_makes_two_jobs(self, world):
        client = world.peer()
        assert client.submit(b"f", unique=b"u") != client.submit(b"g", unique=b"u")

    def test_an_empty_unique_joins_nothing(self, world):
        client = world.peer()
        assert client.submit(b"f", b"same") != client.submit(b"f", b"same")

    def test_a_dash_stands_for_the_workload(self, world):
        client = world.peer()
        assert client.submit(b"f", b"same", b"-") == client.submit(b"f", b"same", b"-") == handle(1)
        assert client.submit(b"f", b"other", b"-") == handle(2)
        assert client.submit(b"f", b"literal", b"same") == handle(3)
        assert client.submit(b"f", b"same", b"-") == handle(1)
        assert client.submit(b"f", b"", b"-") != client.submit(b"f", b"", b"-")

    def test_a_dash_joins_a_job_whose_unique_is_its_workload(self, world):
        client = world.peer()
        assert client.submit(b"f", b"xyz", b"xyz") == client.submit(b"f", b"xyz", b"-")
        assert client.submit(b"f", b"whatever", b"abc") != client.submit(b"f", b"abc", b"-")

    def test_a_twin_of_higher_priority_does_not_promote_the_job(self, world):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", b"low", b"u", type="_LOW")
        client.submit(b"f", b"normal", b"v")
        client.submit(b"f", b"high", b"u", type="_HIGH")
        assert [worker.ask(P.GRAB_JOB)[-1] for _ in range(2)] == [b"normal", b"low"]

    def test_one_client_that_joins_twice_hears_everything_twice(self, world):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", unique=b"u")
        client.submit(b"f", unique=b"u")
        worker.grab()
        worker.send(P.WORK_COMPLETE, handle(1), b"x")
        assert client.received() == [(P.WORK_COMPLETE, handle(1), b"x")] * 2

    def test_status_by_unique_counts_the_clients(self, world):
        one, two = world.peer(), world.peer()
        one.submit(b"f", unique=b"u")
        two.submit(b"f", unique=b"u")
        assert one.ask(P.GET_STATUS_UNIQUE, b"u") == (
            P.STATUS_RES_UNIQUE, b"u", b"1", b"0", b"0", b"0", b"2",
        )  # fmt: skip
        assert one.ask(P.GET_STATUS_UNIQUE, b"v") == (
            P.STATUS_RES_UNIQUE, b"v", b"0", b"0", b"0", b"0", b"0",
        )  # fmt: skip

    def test_a_unique_of_64_bytes_coalesces_and_a_longer_one_is_refused(self, world):
        client = world.peer()
        assert client.submit(b"f", unique=b"u" * 64) == client.submit(b"f", unique=b"u" * 64)
        answer = client.ask(P.SUBMIT_JOB, b"f", b"u" * 65, b"")
        assert answer == (P.ERROR, b"ARGUMENT_TOO_LARGE", b"Unique value too large")

    def test_thousands_of_uniques_are_told_apart(self, world):
        client = world.peer()
        first = [client.submit(b"f", unique=b"u%d" % n, type="_BG") for n in range(5000)]
        again = [client.submit(b"f", unique=b"u%d" % n, type="_BG") for n in range(5000)]
        assert first == again
        assert len(set(first)) == 5000


class TestClientsThatLeave:
    def test_a_queued_foreground_job_goes_with_its_last_client(self, world):
        one, two, worker = world.peer(), world.peer(), world.worker(b"f")
        one.submit(b"f", unique=b"u")
        two.submit(b"f", unique=b"u")
        one.leave()
        assert world.status(b"f").normal == 1
        two.leave()
        assert world.status(b"f").normal == 0
        assert len(world.broker) == 0
        assert worker.grab() is None

    def test_a_new_submission_with_the_unique_of_an_abandoned_job_runs(self, world):
        one, two, worker = world.peer(), world.peer(), world.worker(b"f")
        one.submit(b"f", b"old", b"u")
        one.leave()
        two.submit(b"f", b"new", b"u")
        assert worker.ask(P.GRAB_JOB)[-1] == b"new"

    def test_a_background_job_outlives_its_client(self, world):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", type="_BG")
        client.leave()
        assert worker.grab() == handle(1)

    @pytest.mark.parametrize(("first", "second"), [("_BG", ""), ("", "_BG")])
    def test_a_job_that_was_submitted_in_both_ways_outlives_the_foreground_client(self, world, first, second):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f", unique=b"u", type=first)
        client.submit(b"f", unique=b"u", type=second)
        client.leave()
        assert worker.grab() == handle(1)

    def test_a_running_job_goes_on_without_its_client(self, world):
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f")
        worker.grab()
        client.leave()
        worker.send(P.WORK_DATA, handle(1), b"x")
        worker.send(P.WORK_COMPLETE, handle(1), b"x")
        assert worker.received() == []
        assert len(world.broker) == 0

    def test_a_running_job_without_a_client_is_not_run_again(self, world):
        client, worker, other = world.peer(), world.worker(b"f"), world.worker(b"f")
        client.submit(b"f")
        worker.grab()
        client.leave()
        worker.leave()
        assert other.grab() is None
        assert len(world.broker) == 0


@pytest.mark.parametrize("prefix", ["", "H:" + "x" * 40])
def test_handle_prefixes_up_to_their_limit(prefix):
    assert World(handle_prefix=prefix).peer().submit(b"f") == prefix.encode() + b":1"


@pytest.mark.parametrize("prefix", ["x" * 43, "a\0b"])
def test_a_handle_prefix_that_leaves_no_room_is_refused(prefix):
    with pytest.raises(ValueError, match="at most 42 bytes"):
        Broker(Admin(), handle_prefix=prefix)


def test_a_broker_with_jobs_and_peers_can_be_dropped():
    world = World()
    client, worker = world.peer(), world.sleeper(b"f")
    for _ in range(200):
        client.submit(b"f", unique=b"u")
        client.submit(b"f", type="_BG")
    assert worker.received() == [(P.NOOP,)]
    worker.grab()
    del world, client, worker


def test_the_prefix_of_the_tests_is_the_one_in_the_handles(world):
    assert world.peer().submit(b"f").decode().rpartition(":")[0] == PREFIX


@pytest.mark.parametrize("kind", [P.WORK_DATA, P.WORK_WARNING, P.WORK_COMPLETE])
def test_a_nul_that_a_worker_left_out_is_put_in(world, kind):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    client.output()
    worker.grab()
    worker.raw(struct.pack(">4sII", b"\0REQ", kind, 8) + handle(1))
    assert client.output() == pack_response(kind, handle(1), b"")


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        ((P.WORK_DATA, b""), b"Job does not exist on server"),
        ((P.WORK_WARNING, b""), b"Job does not exist on server"),
        ((P.WORK_EXCEPTION, b""), b"An exception was received for a job that does not exist"),
        ((P.WORK_STATUS, b"1", b"2"), b"Job given in work result not found"),
        ((P.WORK_COMPLETE, b""), b"Job given in work result not found"),
        ((P.WORK_FAIL,), b"Job given in work result not found"),
    ],
    ids=lambda value: value[0].name if isinstance(value, tuple) else "",
)
def test_the_words_for_a_job_that_is_not_there(world, packet, text):
    kind, *rest = packet
    assert world.peer().ask(kind, handle(1), *rest) == (P.ERROR, b"JOB_NOT_FOUND", text)


@pytest.mark.parametrize(("size", "code"), [(63, b"JOB_NOT_FOUND"), (64, b"ARGUMENT_TOO_LARGE")])
def test_a_handle_in_work_fail_has_at_most_63_bytes(world, size, code):
    assert world.peer().ask(P.WORK_FAIL, b"x" * size)[1] == code


class TestReduceJobs:
    @pytest.mark.parametrize(
        ("type", "left"), [(P.SUBMIT_REDUCE_JOB, 0), (P.SUBMIT_REDUCE_JOB_BACKGROUND, 1)]
    )
    def test_in_the_background_they_outlive_their_client(self, world, type, left):
        client = world.peer()
        client.ask(type, b"f", b"", b"reduce", b"", b"w")
        assert world.status(b"f")[1:4] == (0, 1, 0)
        client.leave()
        assert len(world.broker) == left

    def test_a_reducer_of_64_bytes_is_taken_and_a_longer_one_refused(self, world):
        client, worker = world.peer(), world.worker(b"f")
        assert client.ask(P.SUBMIT_REDUCE_JOB, b"f", b"", b"r" * 64, b"", b"")[0] is P.JOB_CREATED
        assert worker.ask(P.GRAB_JOB_ALL)[4] == b"r" * 64
        assert client.ask(P.SUBMIT_REDUCE_JOB, b"f", b"", b"r" * 65, b"", b"")[1] == b"ARGUMENT_TOO_LARGE"

    def test_what_they_took_comes_free(self, world):
        client, _ = world.peer(), world.worker(b"f")
        before = world.broker.memory
        client.ask(P.SUBMIT_REDUCE_JOB_BACKGROUND, b"f", b"u", b"reduce", b"", b"w")
        world.broker.cancel(handle(1))
        assert world.broker.memory == before


def test_a_nul_behind_what_a_status_is_asked_of_is_left_out(world):
    client = world.peer()
    client.submit(b"f", unique=b"u")
    known = (b"1", b"0", b"0", b"0")
    assert client.ask(P.GET_STATUS, handle(1) + b"\0") == (P.STATUS_RES, handle(1), *known)
    assert client.ask(P.GET_STATUS_UNIQUE, b"u\0") == (P.STATUS_RES_UNIQUE, b"u", *known, b"1")


@pytest.mark.parametrize(
    ("sent", "read"),
    [(b" \t\r\n12", b"12"), (b"+12", b"12"), (b"12x", b"12"), (b"4294967297", b"4294967295"), (b"-1", b"0")],
)
def test_how_a_number_is_read(world, sent, read):
    client, worker = world.peer(), world.worker(b"f")
    client.submit(b"f")
    worker.grab()
    worker.send(P.WORK_STATUS, handle(1), sent, b"7")
    assert client.ask_all(P.GET_STATUS, handle(1))[-1][4:] == (read, b"7")
