"""Where workers are woken, and delayed jobs run, otherwise than by gearmand, and why."""

from __future__ import annotations

import time

from gearcore.protocol import PacketType as P

from ...case import departure


@departure(
    "A worker that sleeps again after a `NOOP` without having grabbed",
    gearmand="never wakes it again",
    gearcore="wakes it for the next job",
    why="Jobs would wait in front of an idle worker.",
    answers=r"""
        client < JOB_CREATED J1
        worker < NOOP
        worker2 < JOB_ASSIGN_UNIQ J1 f '' ''
        client < JOB_CREATED J2
        worker < NOOP
    """,
)
def a_worker_that_sleeps_again_without_a_grab(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    worker.sleep()
    client.submit(f)
    worker2.grab()
    worker.sleep()
    client.submit(f)


@departure(
    "A worker that sleeps with a job in hand, and withdraws its function",
    gearmand="wakes that very worker for the job; with `--worker-wakeup 1` nobody else",
    gearcore="wakes the workers that still offer the function",
    why="The job would wait in front of idle workers.",
    worker_wakeup=1,
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        worker2 < NOOP
        worker2 < JOB_ASSIGN_UNIQ J1 f '' ''
    """,
)
def a_sleeping_worker_withdraws_the_function_of_its_job(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.submit(f)
    worker.grab()
    worker.sleep()
    worker2.sleep()
    worker.send(P.CANT_DO, f)
    worker2.grab()


@departure(
    "With `--worker-wakeup`, which of several sleeping workers is woken",
    gearmand="takes the next in the order in which they offered the function",
    gearcore="takes the one that has slept longest",
    why="The order of offers would have to be searched, past all workers that are busy, for one that sleeps.",
    worker_wakeup=1,
    answers=r"""
        client < JOB_CREATED J1
        worker2 < NOOP
        client < JOB_CREATED J2
        worker < NOOP
    """,
)
def the_worker_that_has_slept_longest_is_woken(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    worker2.sleep()
    worker.sleep()
    client.submit(f)
    client.submit(f)


@departure(
    "A delayed job whose time comes",
    gearmand="wakes no worker: the job waits until something else makes a worker ask",
    gearcore="wakes the workers that sleep",
    why="The job would run late or, on a quiet server, never.",
    answers=r"""
        client < JOB_CREATED J1
        worker < NOOP
        worker < JOB_ASSIGN_UNIQ J1 f '' workload
    """,
)
def a_sleeping_worker_is_woken_for_a_delayed_job(s, worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"%d" % (time.time() + 2), b"workload")
    worker.sleep()
    s.wait(0.5)
    worker.await_answer(within=1.8)
    worker.grab()


@departure(
    "A delayed job at its submission",
    gearmand="wakes sleeping workers, which find no job",
    gearcore="lets them sleep",
    why="There is nothing to do for them yet.",
    answers="client < JOB_CREATED J1",
)
def no_worker_is_woken_for_a_job_that_is_to_run_later(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"4000000000", b"workload")


@departure(
    "A job of low priority behind a delayed one",
    gearmand="answers `PRE_SLEEP` with `NOOP` and the grab with `NO_JOB`, again and again",
    gearcore="hands it out",
    why="The worker would spin and the job wait until the delayed one has run.",
    answers=r"""
        client < JOB_CREATED J1
        client < JOB_CREATED J2
        worker < NOOP
        worker < JOB_ASSIGN_UNIQ J2 f '' low
    """,
)
def a_low_job_behind_a_delayed_one(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"4000000000", b"later")
    client.submit(f, b"", b"low", type=P.SUBMIT_JOB_LOW)
    worker.sleep()
    worker.grab()


@departure(
    "With `--round-robin`, a function whose jobs are all delayed",
    gearmand="answers `PRE_SLEEP` with `NOOP` and the grab with `NO_JOB`, though another function has a job",
    gearcore="hands out the job of the other function",
    why="A job that could run would wait.",
    round_robin=True,
    answers=r"""
        client < JOB_CREATED J1
        client < JOB_CREATED J2
        worker < NOOP
        worker < JOB_ASSIGN_UNIQ J2 f '' now
    """,
)
def a_function_of_delayed_jobs_and_its_turn(worker, client, f, g):
    worker.can_do(f, g)
    client.send(P.SUBMIT_JOB_EPOCH, g, b"", b"4000000000", b"later")
    client.submit(f, b"", b"now")
    worker.sleep()
    worker.grab()


@departure(
    "A delayed job for a time that 64 bits do not hold",
    gearmand="does not answer, and closes the connection",
    gearcore="takes it for a time that does not come",
    why="The client would not learn what became of its job.",
    answers=r"""
        client < JOB_CREATED J1
        worker < NO_JOB
    """,
)
def a_delayed_job_for_a_time_beyond_64_bits(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"9" * 20, b"workload")
    worker.grab()
