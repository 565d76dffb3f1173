"""Running jobs one at a time: what the thread does that sends their ends."""

import threading

from fake_server import PATIENCE

from gearcore.worker.inline import Inline


class Shop:
    """An engine with so many jobs, which take no time."""

    def __init__(self, jobs):
        self.jobs = jobs
        self.sent = threading.Event()

    def next_job(self):
        self.jobs -= 1
        return object() if self.jobs >= 0 else None

    def ended(self, job, outcome):
        pass

    def note_duration(self, seconds, jobs):
        pass

    def send(self):
        self.sent.set()


class Runner:
    def run(self, job):
        pass

    def close(self):
        pass


def test_ends_are_sent_late_and_nothing_before_there_are_any():
    lock = threading.Lock()
    shop = Shop(3)
    inline = Inline(shop, Runner(), lock, prefetch=8)
    try:
        assert not shop.sent.wait(0.05)  # the engine is not even complete
        for _ in range(2):
            with lock:
                inline.start()
            assert shop.sent.wait(PATIENCE)
            shop.sent.clear()
            shop.jobs = 1
            assert not shop.sent.wait(1.5)  # by then it has gone to sleep
    finally:
        inline.close()
