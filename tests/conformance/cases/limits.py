"""`maxqueue`: how many jobs a function takes."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case

PRIORITIES = (P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_LOW_BG)


@case
def one_size_is_for_every_priority(client, admin, f, g):
    for function in (f, g):
        admin.line(b"create function " + function, end=b"\r\n")
    admin.line(b"maxqueue %b 1" % f)
    for priority in PRIORITIES:
        client.submit(f, type=priority)
    admin.line(b"status")
    client.background(g)
    client.background(g)


@case(each=PRIORITIES)
def the_size_of_one_priority(value, client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 2 3 4" % f)
    for _ in range(5):
        client.submit(f, type=value)
    admin.line(b"prioritystatus")


@case(each=PRIORITIES)
def two_sizes_leave_low_without_limit(value, client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 1 2" % f)
    for _ in range(3):
        client.submit(f, type=value)


@case
def jobs_of_every_priority_count(client, admin, f):
    client.submit(f, type=P.SUBMIT_JOB_HIGH_BG)
    client.submit(f, type=P.SUBMIT_JOB_LOW_BG)
    admin.line(b"maxqueue %b 0 2 3" % f)
    for priority in PRIORITIES:
        client.submit(f, type=priority)


@case
def running_jobs_count(worker, client, admin, f):
    worker.can_do(f)
    admin.line(b"maxqueue %b 2" % f)
    job = client.background(f)
    worker.grab()
    client.background(f)
    client.background(f)
    worker.send(P.WORK_COMPLETE, job, b"")
    client.background(f)
    client.background(f)


@case
def a_full_queue_refuses_foreground_jobs(client, admin, f):
    client.submit(f)
    admin.line(b"maxqueue %b 1" % f)
    client.submit(f)
    client.send(P.ECHO_REQ, b"the connection goes on")


@case
def a_full_queue_lets_clients_join(client, client2, admin, f, u):
    client.submit(f, u)
    admin.line(b"maxqueue %b 1" % f)
    client2.submit(f, u)
    client2.submit(f)


@case
def a_full_queue_takes_jobs_back(worker, worker2, client, admin, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.submit(f)
    worker.grab()
    client.submit(f)
    admin.line(b"maxqueue %b 1" % f)
    worker.close()
    worker2.grab()
    worker2.grab()


@case
def a_full_queue_refuses_reduce_and_delayed_jobs(client, admin, f):
    client.submit(f)
    admin.line(b"maxqueue %b 1" % f)
    client.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"", b"")
    client.send(P.SUBMIT_REDUCE_JOB_BACKGROUND, f, b"", b"reducer", b"", b"")
    client.send(P.SUBMIT_JOB_EPOCH, f, b"", b"0", b"")


@case(each=[b"", b" 0", b" -1", b" many", b" 0 0 0"])
def a_limit_is_lifted(value, client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 1" % f)
    client.background(f)
    admin.line(b"maxqueue %b%b" % (f, value))
    client.background(f)


@case
def a_lower_limit_than_there_are_jobs(client, admin, f):
    for _ in range(3):
        client.background(f)
    admin.line(b"maxqueue %b 1" % f)
    client.background(f)
    admin.line(b"status")


@case
def a_limit_is_for_the_exact_name(client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 1" % f.upper())
    client.background(f)


@case
def a_limit_in_any_case(client, admin, f):
    client.background(f)
    admin.line(b"MaxQueue %b 1" % f)
    client.background(f)


@case
def a_limit_that_is_not_all_number(client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 2x" % f)
    client.background(f)
    client.background(f)


@case
def a_limit_with_a_word_too_many(client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 1 1 1" % f)
    client.background(f)


@case
def a_limit_ended_by_a_carriage_return(client, admin, f):
    client.background(f)
    admin.line(b"maxqueue %b 1" % f, end=b"\r\n")
    client.background(f)
