"""What the broker costs for a job by itself: ``pytest benchmarks/bench_broker.py --benchmark-enable``."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gearcore.broker import Admin, Broker, Connection
from gearcore.codec import pack_request
from gearcore.protocol import PacketType as P

NOW = 1000.0
JOBS = 1000
"""The jobs of one turn: so many that what is measured outweighs the call."""

GRAB = pack_request(P.GRAB_JOB)
SLEEP = pack_request(P.PRE_SLEEP)

sizes = pytest.mark.parametrize("size", [32, 1024], ids=["32 B", "1 KB"])


class Scene:
    """A broker and its peers, whose output is taken and dropped, as a driver takes it to the sockets."""

    def __init__(self) -> None:
        self.broker = Broker(Admin(), handle_prefix="H:host")
        self.broker.tick(NOW, 1_800_000_000.0)

    def worker(self, *functions: bytes) -> Connection:
        worker = self.broker.connect("192.0.2.1", 7)
        for function in functions:
            self.send(worker, pack_request(P.CAN_DO, function))
        return worker

    def client(self) -> Connection:
        return self.broker.connect("192.0.2.2", 8)

    def send(self, peer: Connection, data: bytes) -> bytes:
        """Have the broker read this, and return what it then has for the same peer."""
        peer.receive(data, NOW)
        own = b""
        for connection in self.broker.drain():
            output = connection.take_output()
            if connection is peer:
                own = output
        return own


def background_job(function: bytes = b"reverse", unique: bytes = b"", size: int = 32) -> bytes:
    return pack_request(P.SUBMIT_JOB_BG, function, unique, b"x" * size)


def result_of(assigned: bytes) -> bytes:
    """The worker's answer to a JOB_ASSIGN: the handle, and nothing."""
    handle, _, _ = assigned[12:].partition(b"\0")
    return pack_request(P.WORK_COMPLETE, handle, b"")


def work_off(scene: Scene, worker: Connection) -> int:
    """Take and complete jobs one at a time until there is none; returns how many there were."""
    count = 0
    assigned = scene.send(worker, GRAB)
    while assigned[7] == P.JOB_ASSIGN:
        assigned = scene.send(worker, result_of(assigned) + GRAB)
        count += 1
    return count


@sizes
def test_submit_1000_background_jobs(benchmark: BenchmarkFixture, size: int) -> None:
    jobs = background_job(size=size) * JOBS

    def fresh() -> tuple[tuple[Scene, Connection], dict[str, object]]:
        scene = Scene()
        return (scene, scene.client()), {}

    def submit(scene: Scene, client: Connection) -> Scene:
        scene.send(client, jobs)
        return scene

    assert len(benchmark.pedantic(submit, setup=fresh, rounds=20).broker) == JOBS


@sizes
def test_work_off_1000_jobs(benchmark: BenchmarkFixture, size: int) -> None:
    jobs = background_job(size=size) * JOBS

    def fresh() -> tuple[tuple[Scene, Connection], dict[str, object]]:
        scene = Scene()
        scene.send(scene.client(), jobs)
        return (scene, scene.worker(b"reverse")), {}

    assert benchmark.pedantic(work_off, setup=fresh, rounds=20) == JOBS


def test_run_a_foreground_job(benchmark: BenchmarkFixture) -> None:
    """The whole way: submitted, a worker woken, taken, completed, asleep again."""
    scene = Scene()
    worker, client = scene.worker(b"reverse"), scene.client()
    job = pack_request(P.SUBMIT_JOB, b"reverse", b"", b"x" * 32)
    scene.send(worker, SLEEP)

    def run() -> bytes:
        scene.send(client, job)
        result = result_of(scene.send(worker, GRAB))
        return scene.send(worker, result + GRAB + SLEEP)

    assert benchmark(run)[7] == P.NO_JOB
    assert not len(scene.broker)


def test_wake_a_worker_among_1000_asleep(benchmark: BenchmarkFixture) -> None:
    """One job for a function that 1,000 workers offer; who is woken looks for it and sleeps again."""
    scene = Scene()
    client = scene.client()
    workers = [scene.worker(b"reverse") for _ in range(1000)]
    for worker in workers:
        scene.send(worker, SLEEP)
    job = background_job()

    def submit_and_work() -> int:
        client.receive(job, NOW)
        done = 0
        for woken in scene.broker.drain():
            if woken is not client and woken.take_output():
                done += work_off(scene, woken)
                scene.send(woken, SLEEP)
        client.take_output()
        return done

    assert benchmark(submit_and_work) == 1


def test_join_50_clients_to_one_job(benchmark: BenchmarkFixture) -> None:
    scene = Scene()
    worker = scene.worker(b"reverse")
    clients = [scene.client() for _ in range(50)]
    job = pack_request(P.SUBMIT_JOB, b"reverse", b"the same", b"x" * 32)

    def ask_and_answer() -> int:
        for client in clients:
            scene.send(client, job)
        worker.receive(result_of(scene.send(worker, GRAB)), NOW)
        return sum(bool(connection.take_output()) for connection in scene.broker.drain())

    assert benchmark(ask_and_answer) == len(clients)


def test_submit_1000_jobs_with_unique_ids(benchmark: BenchmarkFixture) -> None:
    jobs = b"".join(background_job(unique=b"%d" % number) for number in range(JOBS))

    def fresh() -> tuple[tuple[Scene, Connection], dict[str, object]]:
        scene = Scene()
        return (scene, scene.client()), {}

    def submit(scene: Scene, client: Connection) -> Scene:
        scene.send(client, jobs)
        return scene

    assert len(benchmark.pedantic(submit, setup=fresh, rounds=20).broker) == JOBS


def test_run_a_job_of_each_of_1000_functions(benchmark: BenchmarkFixture) -> None:
    functions = [b"function%d" % number for number in range(1000)]
    scene = Scene()
    worker, client = scene.worker(*functions), scene.client()
    jobs = b"".join(background_job(function) for function in functions)

    def run() -> int:
        scene.send(client, jobs)
        return work_off(scene, worker)

    assert benchmark(run) == len(functions)


def test_offer_20000_functions(benchmark: BenchmarkFixture) -> None:
    offers = b"".join(pack_request(P.CAN_DO, b"function%d" % number) for number in range(20000))

    def fresh() -> tuple[tuple[Scene, Connection], dict[str, object]]:
        scene = Scene()
        return (scene, scene.worker()), {}

    def offer(scene: Scene, worker: Connection) -> Scene:
        scene.send(worker, offers)
        return scene

    assert len(benchmark.pedantic(offer, setup=fresh, rounds=5).broker.functions) == 20000
