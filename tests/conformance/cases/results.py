"""Workers: what they report of a job, and what becomes of reports on jobs that are not theirs."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case
from ..script import UNKNOWN_HANDLE

REPORTS = (P.WORK_STATUS, P.WORK_DATA, P.WORK_WARNING, P.WORK_COMPLETE, P.WORK_FAIL, P.WORK_EXCEPTION)
ENDS = (P.WORK_COMPLETE, P.WORK_FAIL, P.WORK_EXCEPTION)


def report(type: P, job: bytes) -> tuple[bytes, ...]:
    """The arguments of a report on a job."""
    if type is P.WORK_STATUS:
        return (job, b"1", b"2")
    return (job,) if type is P.WORK_FAIL else (job, b"text")


@case(each=REPORTS, exceptions=True)
def a_report_reaches_the_client(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(value, *report(value, job))


@case(each=REPORTS)
def a_report_on_a_background_job_reaches_nobody(value, worker, client, f):
    worker.can_do(f)
    job = client.background(f)
    worker.grab()
    worker.send(value, *report(value, job))


@case(each=REPORTS)
def a_report_on_a_job_that_is_none(value, worker):
    worker.send(value, *report(value, UNKNOWN_HANDLE))


@case(each=REPORTS)
def a_report_on_a_job_that_is_queued(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.send(value, *report(value, job))


@case(each=REPORTS)
def a_report_on_the_job_of_another_worker(value, worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker2.send(value, *report(value, job))
    worker.send(P.WORK_COMPLETE, job, b"undisturbed")


@case(each=REPORTS)
def a_report_of_the_client_itself(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    client.send(value, *report(value, job))


@case(each=REPORTS)
def a_report_on_a_job_that_has_ended(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"")
    worker.send(value, *report(value, job))
    worker.grab()


@case(each=ENDS, exceptions=True)
def no_report_ends_a_job_twice(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(value, *report(value, job))
    for end in ENDS:
        worker.send(end, *report(end, job))


@case(each=ENDS)
def the_end_of_a_job_is_counted(value, worker, client, admin, f):
    worker.can_do(f)
    job = client.background(f)
    worker.grab()
    admin.line(b"status")
    worker.send(value, *report(value, job))
    admin.line(b"status")


@case(each=[P.WORK_DATA, P.WORK_WARNING, P.WORK_COMPLETE, P.WORK_EXCEPTION], exceptions=True)
def an_empty_payload(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(value, job, b"")


@case(each=[P.WORK_DATA, P.WORK_WARNING, P.WORK_COMPLETE, P.WORK_EXCEPTION], exceptions=True)
def a_payload_of_any_bytes(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(value, job, bytes(range(256)))


@case
def a_job_reports_many_times_in_order(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.pipeline(
        (P.WORK_STATUS, job, b"0", b"2"),
        (P.WORK_DATA, job, b"one"),
        (P.WORK_STATUS, job, b"1", b"2"),
        (P.WORK_WARNING, job, b"careful"),
        (P.WORK_DATA, job, b"two"),
        (P.WORK_STATUS, job, b"2", b"2"),
        (P.WORK_COMPLETE, job, b"three"),
    )


@case
def a_failed_job_is_not_run_again(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_FAIL, job)
    worker.grab()


@case(
    each=[
        (b"1", b"2"),
        (b"0", b"0"),
        (b"", b""),
        (b"abc", b"def"),
        (b"1.5", b"2.5"),
        (b" 7", b" 8"),
        (b"\t7", b"\n8"),
        (b"+7", b"+8"),
        (b"3 of", b"4 parts"),
        (b"4294967295", b"4294967295"),
    ]
)
def progress_is_passed_on_as_text_and_kept_as_numbers(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, *value)
    client.send(P.GET_STATUS, job)


@case(each=REPORTS)
def a_report_with_an_empty_handle(value, worker, client, f):
    worker.can_do(f)
    client.submit(f)
    worker.grab()
    worker.send(value, *report(value, b""))


@case
def a_report_with_a_long_handle(worker):
    worker.send(P.WORK_FAIL, b"h" * 63)
    worker.send(P.WORK_FAIL, b"h" * 64)
    worker.send(P.WORK_FAIL, b"h" * 500)
    worker.send(P.WORK_COMPLETE, b"h" * 500, b"")
    worker.send(P.WORK_EXCEPTION, b"h" * 500, b"")
    worker.send(P.WORK_DATA, b"h" * 500, b"")


@case
def the_worker_ends_a_job_whose_client_has_left(worker, client, admin, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    client.close()
    worker.send(P.WORK_DATA, job, b"part")
    worker.send(P.WORK_COMPLETE, job, b"whole")
    worker.send(P.WORK_COMPLETE, job, b"whole")
    admin.line(b"status")


@case
def a_job_that_submits_a_job(worker, worker2, client, f, g):
    worker.can_do(f)
    worker2.can_do(g)
    outer = client.submit(f)
    worker.grab()
    inner = worker.submit(g)
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, inner, b"inner")
    worker.send(P.WORK_COMPLETE, outer, b"outer")
