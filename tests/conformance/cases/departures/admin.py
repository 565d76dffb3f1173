"""Where admin commands are answered otherwise than by gearmand, and why."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ...case import departure


@departure(
    "`create function NAME` that ends with a bare newline",
    gearmand="loses the last character of the name",
    gearcore="keeps the name",
    why="Another function than the one asked for would be made.",
    answers=r"""
        admin < 'OK\r\n'
        admin < 'f\t0\t0\t0\n'
        admin < '.\n'
    """,
)
def create_function_with_a_bare_newline(admin, f):
    admin.line(b"create function " + f)
    admin.line(b"status")


@departure(
    "`drop function` of a function with queued jobs",
    gearmand="drops it, after which its jobs can be neither run nor got rid of",
    gearcore="answers `ERR there are still jobs queued`",
    why="Acknowledged jobs would be lost.",
    alone=True,
    answers=r"""
        client < JOB_CREATED J1
        admin < 'ERR there are still jobs queued\r\n'
        worker < JOB_ASSIGN_UNIQ J1 f '' workload
    """,
)
def drop_function_with_queued_jobs(admin, client, worker, f):
    client.background(f, b"", b"workload")
    admin.line(b"drop function " + f)
    worker.can_do(f)
    worker.grab()


@departure(
    "`maxqueue` for a function that does not exist yet",
    gearmand="answers `OK` and forgets it",
    gearcore="limits the function from its first job on",
    why="A server that has just started would run without its limits.",
    answers=r"""
        admin < 'OK\r\n'
        client < JOB_CREATED J1
        client < ERROR QUEUE_ERROR 'Job queue is full'
    """,
)
def maxqueue_before_the_first_job(admin, client, f):
    admin.line(b"maxqueue %b 1" % f)
    client.background(f)
    client.background(f)


@departure(
    "`cancel job` of a queued job",
    gearmand="counts and lists it until a worker comes across it, and sends its client a `WORK_FAIL` "
    "each time it is cancelled again",
    gearcore="forgets it at once, and does not know it any more",
    why="What is cancelled is not queued, and a job fails once.",
    answers=r"""
        client < JOB_CREATED J1
        admin < 'OK\r\n'
        client < WORK_FAIL J1
        admin < 'f\t0\t0\t0\n'
        admin < '.\n'
        admin < '.\n'
        admin < '.\n'
        client < STATUS_RES J1 0 0 0 0
        admin < 'ERR UNKNOWN_JOB\r\n'
    """,
)
def a_cancelled_job_leaves_the_queue(admin, client, f, u):
    job = client.submit(f, u)
    admin.line(b"cancel job " + job)
    admin.line(b"status")
    admin.line(b"show jobs")
    admin.line(b"show unique jobs")
    client.send(P.GET_STATUS, job)
    admin.line(b"cancel job " + job)


@departure(
    "The unique id of a job that was cancelled, submitted again",
    gearmand="answers `JOB_CREATED` with the old job, which it never runs",
    gearcore="makes a new job, which runs",
    why="`JOB_CREATED` is the promise to run it.",
    answers=r"""
        client < JOB_CREATED J1
        admin < 'OK\r\n'
        client < JOB_CREATED J2
        worker < JOB_ASSIGN_UNIQ J2 f u ''
    """,
)
def a_cancelled_unique_id_is_submitted_again(worker, admin, client, f, u):
    job = client.background(f, u)
    admin.line(b"cancel job " + job)
    client.background(f, u)
    worker.can_do(f)
    worker.grab()


@departure(
    "`cancel job` of a running job",
    gearmand="sends the clients `WORK_FAIL`, and after it all that the worker reports, another end too",
    gearcore="sends them one `WORK_FAIL` and nothing after it",
    why="A client takes the job for done, and what comes then for an error of the server.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        admin < 'OK\r\n'
        client < WORK_FAIL J1
        client < JOB_CREATED J2
        worker < JOB_ASSIGN_UNIQ J2 f '' ''
        admin < 'OK\r\n'
        client < WORK_FAIL J2
        admin < 'f\t0\t0\t1\n'
        admin < '.\n'
    """,
)
def cancel_a_running_job(worker, admin, client, f):
    worker.can_do(f)
    for end in (P.WORK_COMPLETE, P.WORK_FAIL):
        job = client.submit(f)
        worker.grab()
        admin.line(b"cancel job " + job)
        worker.send(P.WORK_DATA, job, b"part")
        worker.send(end, *([job] if end is P.WORK_FAIL else [job, b"whole"]))
    admin.line(b"status")


@departure(
    "The unique id of a running job that was cancelled, submitted again",
    gearmand="joins it to the old job, which is not run again if its worker leaves",
    gearcore="makes a new job, which runs",
    why="A client that was told of the end would wait for ever.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f u ''
        admin < 'OK\r\n'
        client < WORK_FAIL J1
        client2 < JOB_CREATED J2
        worker2 < JOB_ASSIGN_UNIQ J2 f u ''
        client2 < WORK_COMPLETE J2 result
    """,
)
def a_cancelled_running_unique_id_is_submitted_again(worker, worker2, admin, client, client2, f, u):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    admin.line(b"cancel job " + job)
    again = client2.submit(f, u)
    worker.close()
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, again, b"result")


@departure(
    "`workers` with IPv6 connections",
    gearmand="shows an address that is none",
    gearcore="shows the address",
    why="The list is there to find a worker by.",
    listen="::1",
    answers=r"""
        admin < 'FD ::1 - :\n'
        admin < 'FD ::1 - : f\n'
        admin < '.\n'
    """,
)
def workers_with_ipv6_connections(worker, admin, f):
    worker.can_do(f)
    admin.line(b"workers")


@departure(
    "A line of more than five words",
    gearmand="closes the connection without an answer",
    gearcore="answers as if the words beyond those that it needs were not there",
    why="Whoever typed it would not learn what was wrong.",
    answers=r"""
        admin < 'ERR UNKNOWN_COMMAND Unknown+server+commanda\r\n'
        admin < 'OK ERROR\n'
    """,
)
def a_line_of_six_words(admin):
    admin.line(b"a b c d e f")
    admin.line(b"verbose b c d e f")


@departure(
    "A line of more than 8192 bytes",
    gearmand="closes the connection without an answer",
    gearcore="says so, and closes the connection",
    why="Whoever sent it would not learn what was wrong.",
    answers=r"""
        admin < 'ERR ARGUMENT_TOO_LARGE *
        admin < (closed)
    """,
)
def a_line_of_many_bytes(admin):
    admin.raw(b"x" * 20_000 + b"\n")
