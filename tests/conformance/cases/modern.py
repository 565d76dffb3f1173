"""gearcore in its default mode: where gearmand 2.0 differs from 1.1, it follows 2.0."""

from __future__ import annotations

import time

from gearcore.protocol import PacketType as P

from ..case import modern


@modern(
    answers=r"""
        client < JOB_CREATED J1
        client < JOB_CREATED J2
        client < JOB_CREATED J3
        worker < JOB_ASSIGN_UNIQ J2 f '' high
        worker < JOB_ASSIGN_UNIQ J1 g '' normal
        worker < JOB_ASSIGN_UNIQ J3 h '' low
        worker < NO_JOB
    """,
)
def priority_goes_before_the_order_of_functions(worker, client, f, g, h):
    worker.can_do(f, g, h)
    client.submit(g, b"", b"normal")
    client.submit(f, b"", b"high", type=P.SUBMIT_JOB_HIGH)
    client.submit(h, b"", b"low", type=P.SUBMIT_JOB_LOW)
    for _ in range(4):
        worker.grab()


def functions_in_turn(worker, client, f, g, h):
    worker.can_do(f, g, h)
    for function in (f, g, h):
        client.pipeline(*((P.SUBMIT_JOB_BG, function, b"", number) for number in (b"1", b"2")))
    for _ in range(7):
        worker.grab()


IN_TURN = r"""
    client < JOB_CREATED J1
    client < JOB_CREATED J2
    client < JOB_CREATED J3
    client < JOB_CREATED J4
    client < JOB_CREATED J5
    client < JOB_CREATED J6
    worker < JOB_ASSIGN_UNIQ J5 h '' 1
    worker < JOB_ASSIGN_UNIQ J3 g '' 1
    worker < JOB_ASSIGN_UNIQ J1 f '' 1
    worker < JOB_ASSIGN_UNIQ J6 h '' 2
    worker < JOB_ASSIGN_UNIQ J4 g '' 2
    worker < JOB_ASSIGN_UNIQ J2 f '' 2
    worker < NO_JOB
"""


@modern(answers=IN_TURN)
def functions_take_turns(worker, client, f, g, h):
    functions_in_turn(worker, client, f, g, h)


@modern(answers=IN_TURN, round_robin=True)
def round_robin_makes_no_difference(worker, client, f, g, h):
    functions_in_turn(worker, client, f, g, h)


@modern(
    answers=r"""
        client < JOB_CREATED J1
        worker < NOOP
        worker < JOB_ASSIGN_UNIQ J1 f '' workload
    """,
)
def a_delayed_job_wakes_a_worker_at_its_time(s, worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"%d" % (time.time() + 2), b"workload")
    worker.sleep()
    s.wait(0.5)
    worker.await_answer()
    worker.grab()


@modern(
    job_retries=0,
    answers=r"""
        client < JOB_CREATED J1
        worker1 < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_FAIL J1
        worker2 < NO_JOB
    """,
)
def no_retries_are_one_run(s, client, f):
    client.submit(f)
    s.run_and_vanish(f, 2)


@modern(
    job_retries=-1,
    answers=r"""
        client < JOB_CREATED J1
        worker1 < JOB_ASSIGN_UNIQ J1 f '' ''
        worker2 < JOB_ASSIGN_UNIQ J1 f '' ''
        worker3 < JOB_ASSIGN_UNIQ J1 f '' ''
        worker4 < JOB_ASSIGN_UNIQ J1 f '' ''
    """,
)
def retries_of_minus_one_are_without_limit(s, client, f):
    client.submit(f)
    s.run_and_vanish(f, 4)


@modern(
    answers=r"""
        client < JOB_CREATED J1
        worker1 < JOB_ASSIGN_UNIQ J1 f '' ''
        worker2 < JOB_ASSIGN_UNIQ J1 f '' ''
        worker3 < JOB_ASSIGN_UNIQ J1 f '' ''
    """,
)
def retries_are_without_limit_by_default(s, client, f):
    client.submit(f)
    s.run_and_vanish(f, 3)


@modern(
    job_retries=2,
    answers=r"""
        client < JOB_CREATED J1
        worker1 < JOB_ASSIGN_UNIQ J1 f '' ''
        worker2 < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_FAIL J1
        worker3 < NO_JOB
    """,
)
def retries_count_the_runs(s, client, f):
    client.submit(f)
    s.run_and_vanish(f, 3)
