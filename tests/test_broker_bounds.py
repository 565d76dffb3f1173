"""What the broker takes is bounded, and who hits a bound is told."""

import struct
import time

import pytest
from world import World, handle

from gearcore._codec import pack_request
from gearcore.protocol import PacketType as P


class TestOutput:
    def test_a_peer_that_reads_nothing_is_marked_and_its_output_dropped(self):
        world = World(max_output=10_000)
        worker, stuck = world.worker(b"f"), world.peer()
        stuck.submit(b"f", type="_BG", workload=b"kept")
        stuck.submit(b"f")
        worker.grab()
        worker.grab()
        for _ in range(20):
            worker.send(P.WORK_DATA, handle(2), b"x" * 1000)
        assert stuck.connection.overflowed
        assert stuck.connection.closing
        assert len(stuck.connection.take_output()) < 12_000
        stuck.leave()
        worker.send(P.WORK_COMPLETE, handle(1), b"")
        worker.send(P.WORK_COMPLETE, handle(2), b"")
        assert worker.received() == []

    def test_one_large_packet_is_not_too_much(self):
        peer = World(max_output=1000).peer()
        assert peer.ask(P.ECHO_REQ, b"x" * 100_000) == (P.ECHO_RES, b"x" * 100_000)
        assert not peer.connection.overflowed

    def test_lists_asked_for_again_and_again_count_as_well(self):
        world = World(max_output=10_000)
        for number in range(100):
            world.broker.create_function(b"function-%d" % number)
        peer = world.peer()
        peer.raw(b"status\n" * 1000)
        assert peer.connection.overflowed
        assert len(peer.connection.take_output()) < 15_000

    def test_what_it_sent_behind_that_is_not_looked_at(self):
        world = World(max_output=1000, job_retries=1)
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f")
        worker.raw(pack_request(P.ECHO_REQ, b"x" * 2000) * 2 + pack_request(P.GRAB_JOB))
        assert worker.connection.overflowed
        worker.leave()
        assert client.received() == []
        assert world.worker(b"f").grab() == handle(1)

    def test_a_job_that_it_does_not_get_any_more_is_not_counted_as_run(self):
        world = World(max_output=1000, job_retries=1)
        client, worker = world.peer(), world.worker(b"f")
        client.submit(b"f")
        worker.raw(pack_request(P.ECHO_REQ, b"x" * 2000) + pack_request(P.GRAB_JOB))
        assert worker.connection.overflowed
        worker.leave()
        assert client.received() == []
        assert world.worker(b"f").grab() == handle(1)


def test_a_packet_leaves_room_for_what_is_passed_on_with_it():
    """STATUS_RES is longer than GET_STATUS, and its size has 32 bits too."""
    peer = World(max_packet_size=1 << 40).peer()
    peer.raw(struct.pack(">4sII", b"\0REQ", P.GET_STATUS, 0xFFFFFFFF))
    ((kind, code, _),) = peer.received()
    assert (kind, code) == (P.ERROR, b"ARGUMENT_TOO_LARGE")


class TestMemory:
    def test_submissions_are_refused_and_what_is_queued_is_kept(self):
        world = World(max_memory=100_000)
        client = world.peer()
        answers = [client.ask(P.SUBMIT_JOB_BG, b"f", b"", b"x" * 1000) for _ in range(200)]
        created = [a for a in answers if a[0] is P.JOB_CREATED]
        assert 70 < len(created) < 100
        assert answers[-1] == (P.ERROR, b"QUEUE_ERROR", b"The memory that this server may use is full")
        assert world.status(b"f").normal == len(created)

    def test_it_takes_more_when_jobs_have_ended(self):
        world = World(max_memory=50_000)
        worker, client = world.worker(b"f"), world.peer()
        for number in range(1, 500):
            assert client.submit(b"f", b"x" * 1000, b"unique", type="_BG") == handle(number)
            worker.grab()
            worker.send(P.WORK_COMPLETE, handle(number), b"")

    def test_offers_count(self):
        world = World(max_memory=20_000)
        worker = world.peer()
        worker.raw(pack_request(P.CAN_DO, b"f") * 1000)
        assert (P.ERROR, b"QUEUE_ERROR", b"The memory that this server may use is full") in worker.received()
        assert world.status(b"f").workers < 1000
        worker.leave()
        assert world.worker(b"f").connection.functions == [b"f"]

    def test_unfinished_packets_count_and_the_stream_goes_on(self):
        world = World(max_memory=100_000)
        peer, other = world.peer(), world.peer()
        packet = pack_request(P.ECHO_REQ, b"x" * 1_000_000)
        for at in range(0, len(packet), 10_000):
            peer.raw(packet[at : at + 10_000])
        ((kind, code, _),) = peer.received()
        assert (kind, code) == (P.ERROR, b"QUEUE_ERROR")
        assert peer.ask(P.ECHO_REQ, b"still here") == (P.ECHO_RES, b"still here")
        other.submit(b"f", b"x" * 10_000, type="_BG")

    def test_the_first_part_of_an_unfinished_packet_counts_as_well(self):
        world = World(max_memory=100_000)
        for _ in range(50):
            world.peer().raw(pack_request(P.ECHO_REQ, b"x" * 200_000)[:90_000])
        assert world.broker.memory < 200_000

    def test_those_who_wait_for_a_job_count(self):
        world = World(max_memory=100_000)
        client = world.peer()
        answers = [client.ask(P.SUBMIT_JOB, b"f", b"u", b"")[0] for _ in range(5000)]
        assert answers[-1] is P.ERROR
        client.leave()
        assert world.broker.memory < 2000

    @pytest.mark.parametrize("pieces", [[b"prioritystatus", b"\n"], [b"prioritystat", b"us", b"\n"]])
    def test_a_line_in_pieces_is_answered_when_the_memory_is_full(self, pieces):
        world = World(max_memory=10_000)
        client, peer = world.peer(), world.peer()
        while client.ask(P.SUBMIT_JOB_BG, b"f", b"", b"x" * 100)[0] is P.JOB_CREATED:
            pass
        for piece in pieces:
            peer.raw(piece)
        assert peer.output().startswith(b"f\t")

    @pytest.mark.parametrize("command", [b"create function", b"maxqueue"])
    def test_admin_commands_make_no_functions_beyond_it(self, command):
        world = World(max_memory=100_000)
        peer = world.peer()
        for number in range(500):
            peer.raw(b"%b %d%b\n" % (command, number, b"x" * 1000))
        assert world.broker.memory < 110_000
        assert peer.output().endswith(b"ERR QUEUE_ERROR There+is+no+room+for+another+function\r\n")

    def test_a_peer_that_leaves_in_mid_packet_gives_its_memory_back(self):
        world = World(max_memory=100_000)
        for _ in range(50):
            peer = world.peer()
            peer.raw(pack_request(P.ECHO_REQ, b"x" * 100_000)[:50_000])
            peer.leave()
        assert world.peer().submit(b"f", b"x" * 50_000) == handle(1)


class TestFunctions:
    def test_their_number_is_bounded(self):
        world = World(max_functions=3)
        client = world.peer()
        for name in (b"a", b"b", b"c"):
            client.submit(name, type="_BG")
        assert client.ask(P.SUBMIT_JOB, b"d", b"", b"")[:2] == (P.ERROR, b"QUEUE_ERROR")
        assert client.ask(P.CAN_DO, b"e")[:2] == (P.ERROR, b"QUEUE_ERROR")
        assert client.submit(b"a", type="_BG") == handle(4)

    def test_admin_commands_make_no_more(self):
        world = World(max_functions=3)
        peer = world.peer()
        for number in range(5):
            peer.raw(b"create function f%d\nmaxqueue g%d 1\n" % (number, number))
        refused = b"ERR QUEUE_ERROR There+is+no+room+for+another+function\r\n"
        assert peer.output() == b"OK\r\n" * 3 + refused * 7
        peer.raw(b"create function f0\nmaxqueue g0 2\n")
        assert peer.output() == b"OK\r\n" * 2

    def test_their_names_are_bounded(self):
        client = World().peer()
        assert client.submit(b"f" * 8191) == handle(1)
        assert client.ask(P.SUBMIT_JOB, b"f" * 8192, b"", b"")[:2] == (P.ERROR, b"ARGUMENT_TOO_LARGE")


class TestAccess:
    @pytest.fixture
    def asked(self):
        return []

    @pytest.fixture
    def guest(self, asked):
        world = World()

        def may(action, name):
            asked.append((action, name))
            return name in (b"open", b"status")

        guest = world.peer()
        guest.connection = world.broker.connect("192.0.2.9", 9, may)
        return guest

    def test_submitting(self, guest, asked):
        assert guest.ask(P.SUBMIT_JOB, b"closed", b"", b"")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert guest.ask(P.SUBMIT_JOB_EPOCH, b"closed", b"", b"0", b"")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert guest.submit(b"open") == handle(1)
        assert set(asked) == {("submit", b"closed"), ("submit", b"open")}

    def test_working(self, guest, asked):
        assert guest.ask(P.CAN_DO, b"closed")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        assert guest.ask(P.CAN_DO_TIMEOUT, b"closed", b"5")[:2] == (P.ERROR, b"PERMISSION_DENIED")
        guest.send(P.CAN_DO, b"open")
        assert guest.connection.functions == [b"open"]
        assert set(asked) == {("work", b"closed"), ("work", b"open")}

    def test_the_command_that_is_asked_about_is_the_one_that_is_answered(self, guest, asked):
        guest.raw(b"shutdown\0status\n")
        assert guest.output() == b"ERR PERMISSION_DENIED This+peer+may+not+send+this+command+shutdown\r\n"
        assert asked == [("admin", b"shutdown")]

    def test_administering(self, guest, asked):
        guest.raw(b"SHUTDOWN graceful\r\n")
        assert guest.output() == b"ERR PERMISSION_DENIED This+peer+may+not+send+this+command+shutdown\r\n"
        guest.raw(b"status\n")
        assert guest.output() == b".\n"
        assert asked == [("admin", b"shutdown"), ("admin", b"status")]


def test_a_function_offered_very_often_is_withdrawn_at_once():
    worker = World().peer()
    worker.raw(pack_request(P.CAN_DO, b"f") * 30_000)
    start = time.perf_counter()
    worker.send(P.CANT_DO, b"f")
    assert time.perf_counter() - start < 1
