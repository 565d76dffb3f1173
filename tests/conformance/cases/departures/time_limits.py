"""Where the time limits of jobs differ from gearmand's, and why."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ...case import departure


@departure(
    "`CAN_DO_TIMEOUT` with the timeout as a binary 32-bit number",
    gearmand="reads it as no time limit",
    gearcore="reads the number",
    why="npm's client sends it so, and means the limit.",
    alone=True,
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        admin < 'f\t1\t0\t1\n'
        admin < '.\n'
    """,
)
def a_binary_time_limit(s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, (1000).to_bytes(4, "big"))
    client.submit(f)
    worker.grab()
    s.wait(1.4)
    admin.line(b"status")


@departure(
    "Two jobs with a time limit in the hands of one worker",
    gearmand="starts the time of both anew with the second",
    gearcore="counts the time of each from its own start",
    why="The first job would be found out late, or never.",
    alone=True,
    answers=r"""
        client < JOB_CREATED J1
        client < JOB_CREATED J2
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        worker < JOB_ASSIGN_UNIQ J2 f '' ''
        admin < 'f\t2\t1\t1\n'
        admin < '.\n'
    """,
)
def two_jobs_with_a_time_limit(s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"1000")
    client.submit(f)
    client.submit(f)
    worker.grab()
    s.wait(0.7)
    worker.grab()
    s.wait(0.7)
    admin.line(b"status")


@departure(
    "A worker that sleeps with a job under a time limit in hand",
    gearmand="forgets the limit",
    gearcore="keeps it",
    why="The job would not be given to another worker.",
    alone=True,
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        worker < NOOP
        admin < 'f\t1\t0\t1\n'
        admin < '.\n'
    """,
)
def a_time_limit_of_a_sleeping_worker(s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"1000")
    client.submit(f)
    worker.grab()
    worker.sleep()
    s.wait(1.4)
    admin.line(b"status")


@departure(
    "A timeout of 20 digits",
    gearmand="crashes",
    gearcore="takes it for a limit that never passes",
    why="One packet would end the server.",
    alone=True,
    answers=r"""
        worker < ECHO_RES 'the connection goes on'
        peer < ECHO_RES 'the server goes on'
    """,
)
def a_timeout_of_20_digits(worker, peer, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"9" * 20)
    worker.send(P.ECHO_REQ, b"the connection goes on")
    peer.send(P.ECHO_REQ, b"the server goes on")


@departure(
    "A timeout of more than 20 characters",
    gearmand="closes the connection without an answer",
    gearcore="reads the number",
    why="A worker that pads its numbers would never start.",
    answers="worker < ECHO_RES 'the connection goes on'",
)
def a_timeout_of_24_characters(worker, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"1000".rjust(24, b"0"))
    worker.send(P.ECHO_REQ, b"the connection goes on")
