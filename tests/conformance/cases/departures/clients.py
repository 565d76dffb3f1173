"""Where clients that leave, and jobs that are joined, fare otherwise than with gearmand, and why."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ...case import departure


@departure(
    "A queued foreground job whose client has left",
    gearmand="counts and lists it until a worker comes across it",
    gearcore="forgets it at once",
    why="Whoever scales workers by the length of the queue would start them for nothing.",
    answers=r"""
        client < JOB_CREATED J1
        admin < 'f\t0\t0\t0\n'
        admin < '.\n'
        admin < '.\n'
        admin < STATUS_RES J1 0 0 0 0
    """,
)
def a_queued_job_whose_client_has_left(admin, client, f):
    job = client.submit(f)
    client.close()
    admin.line(b"status")
    admin.line(b"show jobs")
    admin.send(P.GET_STATUS, job)


@departure(
    "A running foreground job whose client, and then worker, has left",
    gearmand="queues and counts it until a worker comes across it",
    gearcore="forgets it at once",
    why="A job that nobody waits for is not work to be done.",
    answers=r"""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f '' ''
        admin < 'f\t0\t0\t0\n'
        admin < '.\n'
    """,
)
def a_running_job_whose_client_and_worker_have_left(worker, client, admin, f):
    worker.can_do(f)
    client.submit(f)
    worker.grab()
    client.close()
    worker.close()
    admin.line(b"status")


@departure(
    "A full queue of jobs whose clients have left",
    gearmand="refuses new jobs",
    gearcore="takes them",
    why="Clients that give up and come back would fill the queue with their own leavings.",
    answers=r"""
        client < JOB_CREATED J1
        admin < 'OK\r\n'
        client2 < JOB_CREATED J2
    """,
)
def a_queue_full_of_jobs_whose_clients_have_left(admin, client, client2, f):
    client.submit(f)
    admin.line(b"maxqueue %b 1" % f)
    client.close()
    client2.submit(f)


@departure(
    "The unique id of a job whose client has left, submitted again",
    gearmand="answers `JOB_CREATED` with the old job, which it never runs",
    gearcore="makes a new job, which runs",
    why="A client that tries again after a timeout would wait for ever.",
    answers=r"""
        client < JOB_CREATED J1
        client2 < JOB_CREATED J2
        worker < JOB_ASSIGN_UNIQ J2 f u ''
        client2 < WORK_COMPLETE J2 result
    """,
)
def an_abandoned_unique_id_is_submitted_again(worker, client, client2, f, u):
    client.submit(f, u)
    client.close()
    job = client2.submit(f, u)
    worker.can_do(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"result")


@departure(
    "The workload of a job whose client has left, submitted again with `-` as unique id",
    gearmand="answers `JOB_CREATED` with the old job, which it never runs",
    gearcore="makes a new job, which runs",
    why="A client that tries again after a timeout would wait for ever.",
    answers=r"""
        client < JOB_CREATED J1
        client2 < JOB_CREATED J2
        worker < JOB_ASSIGN_UNIQ J2 f - workload
        client2 < WORK_COMPLETE J2 result
    """,
)
def an_abandoned_dash_is_submitted_again(worker, client, client2, f):
    client.submit(f, b"-", b"workload")
    client.close()
    job = client2.submit(f, b"-", b"workload")
    worker.can_do(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"result")


@departure(
    "A background job that a foreground client joins and leaves again",
    gearmand="never runs it",
    gearcore="runs it",
    why="`JOB_CREATED` was the promise to run it.",
    answers=r"""
        client < JOB_CREATED J1
        client2 < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f u workload
    """,
)
def a_foreground_client_passes_by_a_background_job(worker, client, client2, f, u):
    client.background(f, u, b"workload")
    client2.submit(f, u)
    client2.close()
    worker.can_do(f)
    worker.grab()


@departure(
    "A foreground job that a background submission joins, and whose client then leaves",
    gearmand="never runs it",
    gearcore="runs it in the background",
    why="`JOB_CREATED` was the promise to run it, to the background client too.",
    answers=r"""
        client < JOB_CREATED J1
        client2 < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f u workload
    """,
)
def a_background_submission_outlives_the_foreground_client(worker, client, client2, f, u):
    client.submit(f, u, b"workload")
    client2.background(f, u)
    client.close()
    worker.can_do(f)
    worker.grab()


@departure(
    "A unique id of 64 bytes",
    gearmand="keeps 63 bytes of it, joins nothing by it, and hands it out with a stray NUL",
    gearcore="keeps and joins it like any other",
    why="The same job would be run twice, and its worker would read a workload that is not the client's.",
    answers=f"""
        client < JOB_CREATED J1
        client2 < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f {"u" * 64} workload
        client < STATUS_RES_UNIQUE {"u" * 64} 1 1 0 0 2
    """,
)
def a_unique_id_of_64_bytes(worker, client, client2, f):
    worker.can_do(f)
    client.submit(f, b"u" * 64, b"workload")
    client2.submit(f, b"u" * 64, b"workload")
    worker.grab()
    client.send(P.GET_STATUS_UNIQUE, b"u" * 64)


@departure(
    "A reduce job with a unique id of more than 64 bytes",
    gearmand="hands out memory that it did not mean to, in the place of unique id and reducer",
    gearcore="refuses it as it does for every other job: `ARGUMENT_TOO_LARGE`",
    why="The worker would be told a reducer that nobody named.",
    alone=True,
    answers=r"""
        client < ERROR ARGUMENT_TOO_LARGE 'Unique value too large'
        worker < NO_JOB
    """,
)
def a_reduce_job_with_a_unique_id_of_65_bytes(worker, client, f):
    worker.can_do(f)
    client.send(P.SUBMIT_REDUCE_JOB, f, b"u" * 65, b"reducer", b"", b"workload")
    worker.grab(P.GRAB_JOB_ALL)
