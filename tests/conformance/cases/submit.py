"""Clients: every way to submit a job."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case

FOREGROUND = (P.SUBMIT_JOB, P.SUBMIT_JOB_HIGH, P.SUBMIT_JOB_LOW)
BACKGROUND = (P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_LOW_BG)


@case(each=FOREGROUND)
def a_foreground_job_goes_to_a_worker_and_its_result_back(value, worker, client, f, u):
    worker.can_do(f)
    job = client.submit(f, u, b"hello", type=value)
    worker.send(P.GRAB_JOB_UNIQ)
    worker.send(P.WORK_COMPLETE, job, b"olleh")
    client.send(P.GET_STATUS, job)


@case(each=BACKGROUND)
def a_background_job_goes_to_a_worker_and_its_result_nowhere(value, worker, client, f, u):
    worker.can_do(f)
    job = client.submit(f, u, b"hello", type=value)
    worker.send(P.GRAB_JOB_UNIQ)
    worker.send(P.WORK_COMPLETE, job, b"olleh")
    client.send(P.GET_STATUS, job)


@case(each=FOREGROUND + BACKGROUND)
def a_job_is_counted_under_its_priority(value, client, admin, f):
    client.submit(f, type=value)
    admin.line(b"status")
    admin.line(b"prioritystatus")


@case
def one_connection_may_be_client_and_worker(peer, f):
    peer.can_do(f)
    job = peer.submit(f, b"", b"mine")
    peer.grab()
    peer.send(P.WORK_COMPLETE, job, b"done")


@case
def several_jobs_of_one_client(worker, client, f, g):
    worker.can_do(f)
    first = client.submit(f, b"", b"1")
    client.submit(g, b"", b"nobody works on this")
    second = client.submit(f, b"", b"2")
    worker.grab()
    worker.grab()
    worker.send(P.WORK_COMPLETE, second, b"two")
    worker.send(P.WORK_COMPLETE, first, b"one")


@case
def an_empty_workload(worker, client, f):
    worker.can_do(f)
    client.submit(f)
    worker.send(P.GRAB_JOB)


@case
def a_workload_of_any_bytes(worker, client, f):
    worker.can_do(f)
    job = client.submit(f, b"", bytes(range(256)))
    worker.send(P.GRAB_JOB)
    worker.send(P.WORK_COMPLETE, job, bytes(range(255, -1, -1)))


@case(each=[8192, 65536, 1 << 20])
def a_large_workload(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f, b"", b"0123456789abcdef" * (value // 16))
    worker.send(P.GRAB_JOB)
    worker.send(P.WORK_COMPLETE, job, b"fedcba9876543210" * (value // 16))


@case(alone=True)
def an_empty_function_name(worker, client, admin):
    client.submit(b"", b"", b"for nobody in particular")
    worker.can_do(b"")
    worker.send(P.GRAB_JOB)
    admin.line(b"status")
    admin.line(b"workers")


@case(each=[b"two words", b"tab\there", b"new\nline", b"\xff\xfe", "größer".encode()])
def a_function_name_of_any_bytes(value, worker, client, f):
    worker.can_do(f + value)
    client.submit(f + value, b"", b"x")
    worker.send(P.GRAB_JOB)


@case
def function_names_are_case_sensitive(worker, client, f):
    worker.can_do(f.upper())
    client.submit(f)
    worker.grab()


@case
def a_function_name_of_8000_bytes(worker, client, f):
    name = f.ljust(8000, b".")
    worker.can_do(name)
    client.submit(name, b"", b"x")
    worker.send(P.GRAB_JOB)


@case(each=[1, 62, 63])
def a_unique_id_of_this_length(value, worker, client, f):
    worker.can_do(f)
    client.submit(f, b"u" * value, b"x")
    worker.send(P.GRAB_JOB_UNIQ)
    client.send(P.GET_STATUS_UNIQUE, b"u" * value)


@case
def a_unique_id_of_64_bytes_is_taken(client, f):
    client.submit(f, b"u" * 64, b"x")


@case(each=FOREGROUND + BACKGROUND)
def a_unique_id_of_65_bytes_is_refused(value, client, admin, f):
    client.submit(f, b"u" * 65, b"x", type=value)
    client.submit(f, b"", b"the connection goes on", type=value)
    admin.line(b"status")


@case
def a_refused_submission_makes_no_function(client, admin, f):
    client.submit(f, b"u" * 65, b"x")
    admin.line(b"status")


@case
def a_unique_id_of_any_bytes(worker, client, f, u):
    worker.can_do(f)
    client.submit(f, u + b" \t\n\xff", b"x")
    worker.send(P.GRAB_JOB_UNIQ)
    client.send(P.GET_STATUS_UNIQUE, u + b" \t\n\xff")


@case
def a_submission_makes_the_function_known(client, admin, f):
    admin.line(b"status")
    client.submit(f)
    admin.line(b"status")
