"""Periodic jobs: when they are submitted, and that it is once for each time."""

import threading
import time

import pytest
from fake_server import PATIENCE

import gearcore.aio
from gearcore import Worker
from gearcore._codec import Parser, pack_response
from gearcore.protocol import PacketType as P
from gearcore.schedule import Cron, Every
from gearcore.session.worker import WorkerSession
from gearcore.worker.functions import Periodic
from gearcore.worker.periodic import Scheduler

pytestmark = pytest.mark.usefixtures("no_hang")


def session(name="s"):
    session = WorkerSession(name, [b"f"])
    session.start()
    session.data_to_send()
    return session


def sent(session):
    return [tuple(packet.args) for packet in Parser().feed(session.data_to_send())]


def scheduler(timetable, now, function=b"f"):
    return Scheduler([Periodic(function, timetable, b"w")], now)


class TestScheduler:
    def test_a_job_is_submitted_before_its_time_and_once(self):
        one = scheduler(Every(100), 1000.0)
        link = session()
        assert one.deadline(True) == 1070
        one.look(1069.0, [link])
        assert sent(link) == []
        one.look(1070.0, [link])
        assert sent(link) == [(b"f", b"periodic:f:1100", b"1100", b"w")]
        assert one.deadline(True) == 1100
        for now in (1070.0, 1080.0, 1099.9):
            one.look(now, [link])
        assert sent(link) == []
        one.look(1100.0, [link])
        assert one.deadline(True) == 1170
        assert link.due == 1100

    def test_all_schedulers_name_the_same_job(self):
        links = []
        for start in (1000.0, 1001.5, 1069.0, 1085.0):
            links.append(session())
            scheduler(Every(100), start).look(1090.0, [links[-1]])
        assert len({tuple(sent(link)) for link in links}) == 1

    def test_who_comes_too_late_leaves_it_to_the_others(self):
        link = session()
        late = scheduler(Every(100), 1099.9)
        late.look(1099.9, [link])
        assert sent(link) == []
        assert late.deadline(True) == 1170

    def test_a_time_without_a_server_is_left_out(self, caplog):
        one = scheduler(Every(100), 1000.0)
        assert one.deadline(False) == 1100
        one.look(1090.0, [])
        one.look(1099.9, [])
        assert "for 1100 was not submitted" in caplog.text
        assert one.deadline(True) == 1170

    def test_what_went_to_a_server_that_was_lost_goes_to_another(self):
        one = scheduler(Every(100), 1000.0)
        lost, other = session("lost"), session("other")
        one.look(1075.0, [lost])
        one.look(1080.0, [other])
        assert sent(lost) == sent(other) != []

    def test_servers_are_chosen_alike_whatever_their_order(self):
        chosen = set()
        for names in ("abc", "cab", "bca"):
            links = [session(name) for name in names]
            scheduler(Every(100), 1000.0).look(1080.0, links)
            chosen.add(next(link.server for link in links if sent(link)))
        assert len(chosen) == 1

    def test_a_long_name(self):
        link = session()
        scheduler(Every(100), 1000.0, b"f" * 100).look(1080.0, [link])
        [(_, unique, _, _)] = sent(link)
        assert len(unique) <= 63

    def test_the_answer_means_nothing(self, caplog):
        link = session()
        scheduler(Every(100), 1000.0).look(1080.0, [link])
        [news] = link.receive(pack_response(P.JOB_CREATED, b"H:1"))
        assert news.error is None


@pytest.mark.parametrize("make", [Worker, gearcore.aio.Worker])
def test_each_time_once_however_many_workers(server, make, running):
    seen, enough = [], threading.Event()

    def add(worker):
        @worker.every(1, b"tick")
        def tick(job):
            seen.append((job.unique, job.workload))
            if len(seen) >= 3:
                enough.set()

        return worker

    with (
        running(add(make(server.address))),
        running(add(make(server.address))),
        running(add(make(server.address))),
    ):
        assert enough.wait(PATIENCE)
        time.sleep(0.3)
    assert len(seen) == len(set(seen))
    assert {workload for _, workload in seen} == {b"tick"}


@pytest.mark.parametrize("make", [Worker, gearcore.aio.Worker])
def test_without_a_server_there_is_nothing_to_do(server, make, running, monkeypatch):
    """It waits, and does not look for one all the time at which there would be something to submit."""
    looks = []
    look = Scheduler.look

    def noted(self, now, sessions):
        looks.append(now)
        look(self, now, sessions)

    monkeypatch.setattr(Scheduler, "look", noted)
    worked = threading.Event()
    worker = make(server.address)
    worker.every(1)(lambda job: worked.set())
    with running(worker):
        assert worked.wait(PATIENCE)
        server.stop()
        looks.clear()
        time.sleep(1.2)
        assert len(looks) < 25
        worked.clear()
        server.start()
        assert worked.wait(PATIENCE)


def test_a_function_may_have_a_name_and_several_times():
    worker = Worker(namespace="n.")

    @worker.cron("0 0 * * *")
    @worker.every(60)
    @worker.function("named")
    def f(job): ...

    assert [entry.function for entry in worker._periodic] == [b"n.named", b"n.named"]
    assert isinstance(worker._periodic[1].timetable, Cron)
    with pytest.raises(ValueError, match="cron"):
        worker.cron("never")
