"""Scripts that nobody wrote: random steps of two workers and two clients, the same for both servers.

They keep away from the departures: clients stay, a worker that sleeps or withdraws has grabbed before, limits
are for functions that exist, and nothing is cancelled or delayed. Nor is there `--round-robin`, under which
gearmand gives back the jobs of a function that was offered twice as those of two.
"""

from __future__ import annotations

import random
from functools import partial

from gearcore.protocol import PacketType as P

from .case import Case
from .script import NO_HANDLE, UNKNOWN_HANDLE, Peer, Script
from .servers import Options

OPTIONS = (
    Options(),
    Options(job_retries=2),
    Options(job_retries=1, exceptions=True),
)

FOREGROUND = (P.SUBMIT_JOB, P.SUBMIT_JOB_HIGH, P.SUBMIT_JOB_LOW)
BACKGROUND = (P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_LOW_BG)
REDUCE = (P.SUBMIT_REDUCE_JOB, P.SUBMIT_REDUCE_JOB_BACKGROUND)
GRABS = (P.GRAB_JOB, P.GRAB_JOB_UNIQ, P.GRAB_JOB_ALL)
LISTS = (b"status", b"prioritystatus", b"workers", b"show unique jobs")
LIMITS = (b"", b"1", b"2", b"3 2 1", b"2 3", b"0 1 5")

FIRST_NUMBER = 10_000
"""Numbers of cases that no written case has, since the names of functions are made of them."""


def random_case(seed: int) -> Case:
    """The case that this seed stands for."""
    return Case(
        number=FIRST_NUMBER + seed,
        name=f"random script {seed}",
        play=partial(wander, seed=seed),
        options=OPTIONS[seed % len(OPTIONS)],
        alone=False,
    )


class Walk:
    """What a random script knows of its own past."""

    def __init__(self, seed: int, script: Script) -> None:
        self.random = random.Random(seed)
        self.script = script
        self.functions = [script.name("f"), script.name("g")]
        self.uniques = [script.name("u"), script.name("v")]
        self.admin = script.connect("admin")
        self.clients = [script.connect("client1"), script.connect("client2")]
        self.workers = [script.connect("worker1"), script.connect("worker2")]
        self.jobs = [UNKNOWN_HANDLE]

    @property
    def worker(self) -> Peer:
        return self.random.choice(self.workers)

    @property
    def client(self) -> Peer:
        return self.random.choice(self.clients)

    @property
    def function(self) -> bytes:
        return self.random.choice(self.functions)

    @property
    def unique(self) -> bytes:
        return self.random.choice([b"", b"", b"-", *self.uniques])

    @property
    def workload(self) -> bytes:
        return self.random.choice([b"", b"x", b"yy"])

    def remember(self, job: bytes) -> None:
        if job != NO_HANDLE:
            self.jobs.append(job)

    def submit(self) -> None:
        kind = self.random.choice(FOREGROUND + BACKGROUND)
        self.remember(self.client.submit(self.function, self.unique, self.workload, type=kind))

    def submit_reduce(self) -> None:
        reducer = self.random.choice([b"", b"reducer"])
        self.client.send(self.random.choice(REDUCE), self.function, self.unique, reducer, b"", self.workload)

    def submit_several(self) -> None:
        kinds = self.random.choices(FOREGROUND + BACKGROUND, k=3)
        self.client.pipeline(*((kind, self.function, self.unique, self.workload) for kind in kinds))

    def offer(self) -> None:
        self.worker.send(P.CAN_DO, self.function)

    def withdraw(self) -> None:
        worker = self.worker
        self.remember(worker.grab())
        if self.random.random() < 0.7:
            worker.send(P.CANT_DO, self.function)
        else:
            worker.send(P.RESET_ABILITIES)

    def grab(self) -> None:
        self.remember(self.worker.grab(self.random.choice(GRABS)))

    def sleep(self) -> None:
        worker = self.worker
        self.remember(worker.grab())
        worker.sleep()

    def report(self) -> None:
        job = self.random.choice(self.jobs[-4:])
        kind = self.random.choice([P.WORK_DATA, P.WORK_WARNING, P.WORK_STATUS, P.WORK_COMPLETE, P.WORK_FAIL])
        rest = {P.WORK_STATUS: (b"3", b"9"), P.WORK_FAIL: ()}.get(kind, (b"text",))
        self.worker.send(kind, job, *rest)

    def leave(self) -> None:
        place = self.random.randrange(len(self.workers))
        self.workers[place].close()
        self.workers[place] = self.script.connect(f"worker{len(self.script.peers)}")

    def ask_status(self) -> None:
        if self.random.random() < 0.5:
            self.client.send(P.GET_STATUS, self.random.choice(self.jobs))
        else:
            self.client.send(P.GET_STATUS_UNIQUE, self.random.choice(self.uniques))

    def list_something(self) -> None:
        self.admin.line(self.random.choice(LISTS))

    def limit(self) -> None:
        self.admin.line(b"maxqueue %b %b" % (self.function, self.random.choice(LIMITS)))


STEPS = {
    Walk.submit: 8,
    Walk.submit_reduce: 1,
    Walk.submit_several: 0.5,
    Walk.offer: 3,
    Walk.withdraw: 1,
    Walk.grab: 5,
    Walk.sleep: 3,
    Walk.report: 6,
    Walk.leave: 0.7,
    Walk.ask_status: 1.5,
    Walk.list_something: 1.5,
    Walk.limit: 0.4,
}
"""Each step, and how often it is taken in proportion to the others."""


def wander(s: Script, seed: int) -> None:
    """Take some dozens of random steps."""
    walk = Walk(seed, s)
    for function in walk.functions:
        walk.admin.line(b"create function " + function, end=b"\r\n")
    for client in walk.clients:
        if walk.random.random() < 0.5:
            client.send(P.OPTION_REQ, b"exceptions")
    for step in walk.random.choices(list(STEPS), list(STEPS.values()), k=walk.random.randint(10, 40)):
        step(walk)
    walk.admin.line(b"status")
