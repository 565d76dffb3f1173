"""Where what a worker sends arrives otherwise than through gearmand, and why."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ...case import departure


@departure(
    "A `WORK_EXCEPTION` for a client without the option `exceptions`",
    gearmand="sends `WORK_FAIL` with a NUL behind the handle",
    gearcore="sends `WORK_FAIL` with the plain handle",
    why="libgearman waits for ever on a `WORK_FAIL` that ends with a NUL, and Perl and Python clients fail.",
    answers=r"""
        client2 < OPTION_RES exceptions
        client < JOB_CREATED J1
        client2 < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f u ''
        client < WORK_FAIL J1
        client2 < WORK_EXCEPTION J1 'what went wrong'
    """,
)
def an_exception_for_a_client_that_did_not_ask_for_it(worker, client, client2, f, u):
    worker.can_do(f)
    client2.send(P.OPTION_REQ, b"exceptions")
    job = client.submit(f, u)
    client2.submit(f, u)
    worker.grab()
    worker.send(P.WORK_EXCEPTION, job, b"what went wrong")


@departure(
    "A `WORK_FAIL` with a NUL behind the handle",
    gearmand="passes the NUL on to the clients",
    gearcore="passes on the plain handle",
    why="libgearman waits for ever on a `WORK_FAIL` that ends with a NUL.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_FAIL J1
    """,
)
def a_work_fail_with_a_nul_behind_the_handle(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_FAIL, job + b"\0")


@departure(
    "`WORK_DATA`, `WORK_WARNING` or `WORK_COMPLETE` with a handle and no NUL behind it",
    gearmand="waits for a NUL, takes one from the next packet, closes the connection and runs the job again",
    gearcore="reads an empty payload",
    why="Perl workers send empty results so, and their jobs would be run for ever.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_DATA J1 ''
        client < WORK_WARNING J1 ''
        client < WORK_COMPLETE J1 ''
    """,
)
def a_result_without_a_nul_behind_the_handle(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_DATA, job)
    worker.send(P.WORK_WARNING, job)
    worker.send(P.WORK_COMPLETE, job)


@departure(
    "`WORK_EXCEPTION` with a handle and no NUL behind it",
    gearmand="waits for a NUL, takes one from the next packet, closes the connection and runs the job again",
    gearcore="reads an empty payload",
    why="A job that failed would be run for ever.",
    exceptions=True,
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_EXCEPTION J1 ''
    """,
)
def an_exception_without_a_nul_behind_the_handle(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_EXCEPTION, job)


@departure(
    "A `WORK_STATUS` whose denominator has twelve characters or more",
    gearmand="passes nothing on and closes the worker's connection",
    gearcore="passes it on, and keeps the number",
    why="A worker that pads its numbers would lose its job at each report.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_STATUS J1 1 000000000002
        client < STATUS_RES J1 1 1 1 2
    """,
)
def progress_with_a_long_denominator(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"1", b"000000000002")
    client.send(P.GET_STATUS, job)


@departure(
    "A `WORK_STATUS` with numbers that 32 bits do not hold",
    gearmand="reports what is left of them: 1 for 4294967297, and 4294967295 for -1",
    gearcore="reports the nearest number that there is: 4294967295, and 0 for what is negative",
    why="A job that has come far would appear to have just begun.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        client < WORK_STATUS J1 4294967297 9999999999
        client < STATUS_RES J1 1 1 4294967295 4294967295
        client < WORK_STATUS J1 -1 -2
        client < STATUS_RES J1 1 1 0 0
    """,
)
def progress_beyond_32_bits(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"4294967297", b"9999999999")
    client.send(P.GET_STATUS, job)
    worker.send(P.WORK_STATUS, job, b"-1", b"-2")
    client.send(P.GET_STATUS, job)
