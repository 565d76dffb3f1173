"""A client and a worker of gearcore.compat.gear, for tests of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fake_server import PATIENCE

from gearcore.compat import gear


class Client(gear.Client):
    """A client that can wait for what its handlers saw, and keeps the order of it."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.seen: list[object] = []
        self._news = threading.Condition()

    def note(self, item: object) -> None:
        with self._news:
            self.seen.append(item)
            self._news.notify_all()

    def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait until that is so, after something that was noted."""
        with self._news:
            assert self._news.wait_for(done, PATIENCE), self.seen

    def run(self, job: gear.Job, **options) -> gear.Job:
        """Submit a job and wait for its end."""
        self.submitJob(job, timeout=PATIENCE, **options)
        self.wait_for(lambda: job.complete)
        return job

    def handlePacket(self, packet):  # noqa: N802
        super().handlePacket(packet)
        self.note(gear.constants.types[packet.ptype])

    def handleDisconnect(self, job):  # noqa: N802
        self.note(("disconnect", job))


@contextmanager
def connected(made, *addresses) -> Iterator:
    """A client or worker that has its connections, until the end of the context."""
    try:
        for address in addresses:
            made.addServer(*address)
        made.waitForServer(PATIENCE)
        with made.connections_condition:
            everybody = made.connections_condition.wait_for(lambda: not made.inactive_connections, PATIENCE)
        assert everybody
        yield made
    finally:
        if made.running:
            made.shutdown()


def data(job):
    for part in job.arguments.split():
        job.sendWorkData(part)
    job.sendWorkWarning(b"careful\0")
    job.sendWorkStatus(1, 4)
    job.sendWorkComplete(b"end")


FUNCTIONS = {
    "reverse": lambda job: job.sendWorkComplete(job.arguments[::-1]),
    "nothing": lambda job: job.sendWorkComplete(),
    "unique": lambda job: job.sendWorkComplete(job.unique),
    "fail": lambda job: job.sendWorkFail(),
    "raise": lambda job: job.sendWorkException(b"no: " + job.arguments),
    "data": data,
}


@contextmanager
def serving(*addresses, functions=FUNCTIONS, worker=None) -> Iterator[gear.Worker]:
    """A worker that does its jobs in a thread."""
    worker = worker or gear.Worker("tester")

    def work() -> None:
        try:
            while True:
                job = worker.getJob()
                functions[job.name](job)
        except gear.InterruptedError:
            pass

    with connected(worker, *addresses):
        for name in functions:
            worker.registerFunction(name)
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield worker
        finally:
            worker.shutdown()
            thread.join(PATIENCE)
    assert not thread.is_alive()
