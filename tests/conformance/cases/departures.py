"""Where gearcore answers otherwise than gearmand, and why.

In the order in which docs/compatibility.md lists them.
"""

from __future__ import annotations

import time

from gearcore.protocol import PacketType as P

from ..case import departure
from ..script import pack

# Results


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


# Clients that leave, and jobs that are joined


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


# Wake-ups and delayed jobs


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


# Time limits


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


# Admin commands


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


# Bytes


@departure(
    "A packet type of 0x80000000 or more",
    gearmand="crashes",
    gearcore="answers `INVALID_COMMAND`, and the connection goes on",
    why="One packet would end the server.",
    alone=True,
    answers=r"""
        peer < ERROR INVALID_COMMAND *
        peer < ERROR INVALID_COMMAND *
        peer2 < ECHO_RES 'the server goes on'
    """,
)
def a_packet_type_with_the_highest_bit(peer, peer2):
    peer.send(0x80000000)
    peer.send(0xFFFFFFFF)
    peer2.send(P.ECHO_REQ, b"the server goes on")


@departure(
    "An unknown packet type",
    gearmand="closes the connection without an answer",
    gearcore="answers `INVALID_COMMAND`, and the connection goes on",
    why="A client that tries out what a server knows would lose its jobs.",
    answers=r"""
        peer < ERROR INVALID_COMMAND *
        peer < ERROR INVALID_COMMAND *
        peer < ERROR INVALID_COMMAND *
        peer < ECHO_RES 'the connection goes on'
    """,
)
def an_unknown_packet_type(peer):
    peer.send(43)
    peer.send(0)
    peer.send(0x7FFFFFFF, b"with", b"a body")
    peer.send(P.ECHO_REQ, b"the connection goes on")


@departure(
    "A packet with too few arguments",
    gearmand="waits for the missing NUL, takes one from the next packet and closes the connection",
    gearcore="answers `INVALID_PACKET`, and the connection goes on",
    why="The client would wait for an answer, and lose what it sends next.",
    answers="peer < ERROR INVALID_PACKET *\n" * 9 + "peer < ECHO_RES 'the connection goes on'",
)
def a_packet_with_too_few_arguments(peer, f):
    peer.send(P.SUBMIT_JOB)
    peer.send(P.SUBMIT_JOB, f)
    peer.send(P.SUBMIT_JOB_BG, f, b"")
    peer.send(P.SUBMIT_JOB_EPOCH, f, b"", b"0")
    peer.send(P.SUBMIT_REDUCE_JOB, f, b"", b"reducer", b"workload")
    peer.send(P.CAN_DO_TIMEOUT, f)
    peer.send(P.WORK_STATUS)
    peer.send(P.WORK_STATUS, b"handle")
    peer.send(P.WORK_STATUS, b"handle", b"1")
    peer.send(P.ECHO_REQ, b"the connection goes on")


@departure(
    "A packet that begins with neither `\\0REQ` nor `\\0RES`",
    gearmand="closes the connection without an answer",
    gearcore="answers `INVALID_MAGIC`, and closes the connection",
    why="Whoever wrote the client would not learn what was wrong.",
    answers=r"""
        peer < ERROR INVALID_MAGIC *
        peer < (closed)
        peer2 < ERROR INVALID_MAGIC *
        peer2 < (closed)
    """,
)
def a_wrong_magic(peer, peer2):
    peer.raw(b"\0XXX")
    peer2.raw(b"\0req" + pack(P.ECHO_REQ, b"x")[4:])


@departure(
    "A packet that announces more than the server takes",
    gearmand="sets memory aside for any size, and waits",
    gearcore="answers `ARGUMENT_TOO_LARGE`",
    why="One packet would take 4 GiB of the server's address space, and a few all of its memory.",
    answers="peer < ERROR ARGUMENT_TOO_LARGE *",
)
def a_packet_of_4_gib(peer):
    peer.part(pack(P.ECHO_REQ)[:8] + b"\xff\xff\xff\xff")


@departure(
    "A function name that is too long",
    gearmand="closes the connection of whoever sends more than 8191 bytes, and takes a little less, but then "
    "closes the connection of each worker that grabs the job",
    gearcore="takes 8191 bytes and hands them out, and answers `ARGUMENT_TOO_LARGE` to more",
    why="An acknowledged job would never be run.",
    answers="""
        client < JOB_CREATED J1
        worker < JOB_ASSIGN_UNIQ J1 f...................... (8186 bytes, checksum 5784afd7) '' workload
        client < ERROR ARGUMENT_TOO_LARGE *
        worker < ERROR ARGUMENT_TOO_LARGE *
    """,
)
def a_function_name_of_many_bytes(worker, client, f):
    longest = f.ljust(8191, b".")
    worker.can_do(longest)
    client.submit(longest, b"", b"workload")
    worker.grab()
    client.submit(longest + b".")
    worker.can_do(longest + b".")


@departure(
    "`GET_STATUS` of a handle, or `GET_STATUS_UNIQUE` of a unique id, of 64 bytes or more",
    gearmand="does not answer, and may close the connection",
    gearcore="answers that there is no such job",
    why="The client would wait for ever.",
    answers=f"""
        client < STATUS_RES {"h" * 64} 0 0 0 0
        client2 < STATUS_RES_UNIQUE {"u" * 65} 0 0 0 0 0
    """,
)
def the_status_of_a_long_name(client, client2):
    client.send(P.GET_STATUS, b"h" * 64)
    client2.send(P.GET_STATUS_UNIQUE, b"u" * 65)


@departure(
    "`SUBMIT_JOB_SCHED`",
    gearmand="answers `INVALID_COMMAND`",
    gearcore="runs the job in the next minute that matches the schedule",
    why="The protocol has the packet, and gearmand never finished it.",
    answers=r"""
        client < JOB_CREATED J1
        worker < NO_JOB
        admin < 'f\t1\t0\t1\n'
        admin < '.\n'
    """,
)
def a_job_by_schedule(worker, client, admin, f):
    worker.can_do(f)
    in_the_past_of_every_year_but_leap_years = (b"0", b"0", b"29", b"2", b"")
    client.send(P.SUBMIT_JOB_SCHED, f, b"", *in_the_past_of_every_year_but_leap_years, b"workload")
    worker.grab()
    admin.line(b"status")
