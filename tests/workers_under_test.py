"""A worker as a program of its own, for tests that send signals to it or have it fork.

``python workers_under_test.py KIND ADDRESS...``: KIND is one of ``MAKERS``. GRACE is their grace, in seconds.
"""

import asyncio
import logging
import os
import signal
import sys
import time

import gearcore.aio
from gearcore import Worker

GRACE = float(os.environ.get("GRACE", "0.5"))

MAKERS = {
    "one": lambda servers: Worker(servers, grace=GRACE),
    "prefetch": lambda servers: Worker(servers, grace=GRACE, prefetch=16),
    "threads": lambda servers: Worker(servers, threads=4, grace=GRACE),
    "processes": lambda servers: Worker(servers, processes=4, grace=GRACE, timeout=5.0),
    "recycled": lambda servers: Worker(servers, processes=2, max_jobs_per_process=3),
    "lean": lambda servers: Worker(servers, processes=1, max_memory_per_process=200_000_000),
    "asyncio": lambda servers: gearcore.aio.Worker(servers, concurrency=4, grace=GRACE),
}


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    kind, *servers = sys.argv[1:]
    worker = MAKERS[kind](servers)
    ballast = []

    @worker.function
    def echo(job):
        return job.workload

    @worker.function
    def reverse(job):
        return job.workload[::-1]

    @worker.function
    def mark(job):
        # A write of a few bytes to the end of a file is one of the things that are done whole.
        path, _, text = job.workload.partition(b" ")
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, text + b"\n")
        os.close(file)
        time.sleep(0.002)

    @worker.function
    def pid(job):
        return b"%d" % os.getpid()

    @worker.function
    def chatter(job):
        for part in job.workload.split():
            job.send_data(part)
        job.send_warning(b"careful")
        job.send_status(1, 2)

    @worker.function
    def grow(job):
        ballast.append(b"\1" * 300_000_000)
        return b"%d" % os.getpid()

    @worker.function
    def leave(job):
        os._exit(3)

    @worker.function
    def leave_by_exit(job):
        sys.exit(4)

    @worker.function
    def kill(job):
        os.kill(os.getpid(), signal.SIGKILL)

    @worker.function
    def fail(job):
        job.fail("on request")

    @worker.function
    def sleep(job):
        time.sleep(float(job.workload))

    @worker.function("limited", timeout=0.2)
    def limited(job):
        while True:
            pass

    running = worker.run(install_signals=True)
    if running is not None:
        asyncio.run(running)


if __name__ == "__main__":
    main()
