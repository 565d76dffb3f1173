"""Jobs that name a reducer, which the worker's side of map and reduce is told."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case

GRABS = (P.GRAB_JOB, P.GRAB_JOB_UNIQ, P.GRAB_JOB_ALL)
REDUCE = (P.SUBMIT_REDUCE_JOB, P.SUBMIT_REDUCE_JOB_BACKGROUND)


@case(each=GRABS)
def a_reduce_job(value, worker, client, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, u, b"reducer", b"aggregator", b"workload")
    worker.send(value)


@case(each=GRABS)
def a_reduce_job_in_the_background(value, worker, client, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB_BACKGROUND, f, u, b"reducer", b"aggregator", b"workload")
    client.close()
    worker.send(value)


@case
def the_result_of_a_reduce_job(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"", b"workload")
    job = worker.grab(P.GRAB_JOB_ALL)
    worker.send(P.WORK_COMPLETE, job, b"reduced")


@case(each=REDUCE)
def a_reduce_job_is_of_normal_priority(value, client, admin, f):
    client.send(value, f, b"", b"reducer", b"aggregator", b"workload")
    admin.line(b"prioritystatus")


@case(each=REDUCE)
def a_reduce_job_without_reducer(value, worker, client, f, u):
    worker.can_do(f)
    client.send(value, f, u, b"", b"aggregator", b"workload")
    worker.send(P.GRAB_JOB_ALL)


@case(each=[63, 64, 65])
def a_reducer_of_this_length(value, worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, b"", b"r" * value, b"", b"workload")
    worker.send(P.GRAB_JOB_ALL)


@case
def a_workload_of_nuls_behind_a_reducer(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"aggregator", b"\0\0\0")
    worker.send(P.GRAB_JOB_ALL)


@case
def a_long_aggregator(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"a" * 500, b"workload")
    worker.send(P.GRAB_JOB_ALL)


@case
def reduce_jobs_are_joined(worker, client, client2, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, u, b"reducer", b"", b"first")
    client2.send(P.SUBMIT_REDUCE_JOB, f, u, b"another", b"", b"second")
    job = worker.grab(P.GRAB_JOB_ALL)
    worker.send(P.WORK_COMPLETE, job, b"for both")


@case
def a_plain_submission_joins_a_reduce_job(worker, client, client2, f, u):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, u, b"reducer", b"", b"first")
    client2.submit(f, u, b"second")
    worker.grab(P.GRAB_JOB_ALL)
    worker.grab(P.GRAB_JOB_ALL)


@case
def a_reduce_job_wakes_a_worker(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    client.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"", b"workload")
