"""Jobs that are to run at a time to come."""

from __future__ import annotations

import time

from gearcore.protocol import PacketType as P

from ..case import case

LATER = b"4000000000"


def in_seconds(seconds: float) -> bytes:
    """A time from now on, as SUBMIT_JOB_EPOCH has it."""
    return b"%d" % (time.time() + seconds)


@case(each=[b"0", b"1", b"1000000000", b"-1", b" 1", b"", b"now", b"1.5", b"12 o'clock"])
def a_job_whose_time_has_come(value, worker, client, f, u):
    worker.can_do(f)
    worker.sleep()
    client.send(P.SUBMIT_JOB_EPOCH, f, u, value, b"workload")
    worker.send(P.GRAB_JOB_UNIQ)


@case
def a_job_whose_time_has_not_come(worker, client, admin, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, u, LATER, b"workload")
    worker.grab()
    admin.line(b"status")
    admin.line(b"prioritystatus")
    admin.line(b"show unique jobs")
    client.send(P.GET_STATUS_UNIQUE, u)


@case
def a_worker_falls_asleep_over_a_job_whose_time_has_not_come(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", LATER, b"workload")
    worker.sleep()
    client.submit(f, b"", b"for now")
    worker.grab()


@case
def a_delayed_job_is_in_the_background(worker, client, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, u, b"0", b"workload")
    client.close()
    worker.grab()


@case
def a_delayed_job_gives_way_to_later_ones(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", LATER, b"later")
    client.submit(f, b"", b"now")
    worker.grab()
    worker.grab()


@case
def a_high_job_goes_before_a_delayed_one(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"0", b"epoch")
    client.submit(f, b"", b"high", type=P.SUBMIT_JOB_HIGH)
    worker.grab()
    worker.grab()


@case
def a_delayed_job_runs_at_its_time(s, worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", in_seconds(2), b"workload")
    worker.grab()
    s.wait(2.2)
    worker.grab()


@case
def a_foreground_client_joins_a_delayed_job(worker, client, client2, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_JOB_EPOCH, f, u, LATER, b"workload")
    client2.submit(f, u, b"now")
    worker.grab()


@case
def a_delayed_job_joins_a_plain_one(worker, client, client2, f, u):
    worker.can_do(f)
    client.submit(f, u, b"now")
    client2.send(P.SUBMIT_JOB_EPOCH, f, u, LATER, b"later")
    worker.grab()


@case
def a_delayed_job_with_too_long_a_unique_id(client, f):
    client.send(P.SUBMIT_JOB_EPOCH, f, b"u" * 65, b"0", b"workload")
