"""The admin commands: lines of text, their answers and their line endings."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case
from ..script import UNKNOWN_HANDLE


@case(alone=True)
def status_of_an_empty_server(admin):
    admin.line(b"status")
    admin.line(b"prioritystatus")
    admin.line(b"show jobs")
    admin.line(b"show unique jobs")


@case
def status_counts_queued_and_running_jobs(worker, client, admin, f, g):
    worker.can_do(f)
    for _ in range(3):
        client.background(f)
    client.submit(g)
    admin.line(b"status")
    worker.grab()
    admin.line(b"status")


@case
def prioritystatus_counts_queued_jobs(worker, client, admin, f):
    worker.can_do(f)
    for submission in (P.SUBMIT_JOB_LOW_BG, P.SUBMIT_JOB_LOW, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH):
        client.submit(f, type=submission)
    admin.line(b"prioritystatus")
    worker.grab()
    admin.line(b"prioritystatus")


@case
def a_function_stays_in_the_list(worker, admin, f):
    worker.can_do(f)
    worker.close()
    admin.line(b"status")
    admin.line(b"prioritystatus")


@case
def workers_lists_every_connection(worker, client, admin, f, g, h):
    worker.send(P.SET_CLIENT_ID, b"the-worker")
    worker.can_do(f, g, h)
    client.submit(f)
    admin.line(b"workers")


@case
def workers_lists_newer_connections_first(worker, worker2, admin, f, g):
    worker2.can_do(g)
    worker.can_do(f)
    admin.line(b"workers")


@case
def version(admin):
    admin.line(b"version", hide=rb"(?<=^OK )\S+(?=\n$)")


@case
def verbose(admin):
    admin.line(b"verbose")


@case
def getpid(s, admin):
    admin.line(b"getpid", hide=rb"\b%d\b" % s.server.pid)


@case(each=[b"VERBOSE", b"Verbose", b"vErBoSe"])
def a_command_in_any_case(value, admin):
    admin.line(value)


@case(each=[b"STATUS", b"Workers", b"CREATE", b"Show"])
def a_list_command_in_any_case(value, admin):
    admin.line(value)


@case(each=[b"verbose ", b"verbose  x", b"verbose a b c d", b"status x", b"workers x y", b"show jobs x"])
def words_that_no_command_asked_for(value, admin, f):
    admin.line(value)


@case(
    each=[
        b"",
        b"bogus",
        b"bogus with words",
        b" status",
        b"  verbose",
        b"\tverbose",
        b"verbose\tx",
        b"statusx",
    ]
)
def an_unknown_command(value, admin):
    admin.line(value)
    admin.line(b"verbose")


@case(each=[b"shutdown", b"shutdown graceful", b"quit", b"help"])
def a_command_that_gearmand_has_not(value, admin):
    admin.line(value)


@case(each=[b"verbose", b"bogus", b"maxqueue", b"show", b""])
def a_line_that_ends_with_a_carriage_return(value, admin):
    admin.line(value, end=b"\r\n")


@case
def only_one_carriage_return_belongs_to_the_end(admin):
    admin.line(b"verbose\r", end=b"\r\n")


@case(each=[b"verbose\0", b"verbose\0rest", b"verbose \0rest", b"bogus\0rest"])
def a_nul_ends_the_line(value, admin):
    admin.line(value)


@case
def several_lines_at_once(admin):
    admin.raw(b"verbose\nbogus\r\nmaxqueue\nverbose\n")


@case
def five_words_do_not_end_the_connection(admin):
    admin.line(b"a b c d e")


@case
def maxqueue_without_arguments(admin):
    admin.line(b"maxqueue")


@case(each=[b"create", b"create function", b"create function a b", b"create a b", b"create x"])
def create_with_wrong_arguments(value, admin):
    admin.line(value, end=b"\r\n")


@case
def create_function(admin, f):
    admin.line(b"create function " + f, end=b"\r\n")
    admin.line(b"status")
    admin.line(b"prioritystatus")


@case
def create_function_that_is_there(worker, admin, f):
    worker.can_do(f)
    admin.line(b"create function " + f, end=b"\r\n")
    admin.line(b"status")


@case
def create_function_in_any_case(admin, f):
    admin.line(b"CREATE FUNCTION " + f, end=b"\r\n")
    admin.line(b"status")


@case
def a_created_function_takes_jobs(worker, client, admin, f):
    admin.line(b"create function " + f, end=b"\r\n")
    client.submit(f)
    worker.can_do(f)
    worker.grab()


@case(each=[b"drop", b"drop function", b"drop function a b", b"drop a b", b"drop x"])
def drop_with_wrong_arguments(value, admin):
    admin.line(value)


@case
def drop_function(admin, f):
    admin.line(b"create function " + f, end=b"\r\n")
    admin.line(b"drop function " + f)
    admin.line(b"status")
    admin.line(b"drop function " + f)


@case
def drop_function_that_is_none(admin, f):
    admin.line(b"drop function " + f)


@case
def drop_function_in_any_case(admin, f):
    admin.line(b"create function " + f, end=b"\r\n")
    admin.line(b"DROP FUNCTION " + f.upper())
    admin.line(b"status")


@case
def drop_function_with_a_worker(worker, admin, f):
    worker.can_do(f)
    admin.line(b"drop function " + f)
    admin.line(b"status")
    worker.send(P.CANT_DO, f)
    admin.line(b"drop function " + f)
    admin.line(b"status")


@case
def drop_function_with_a_running_job(worker, client, admin, f):
    worker.can_do(f)
    client.submit(f)
    worker.grab()
    admin.line(b"drop function " + f)
    admin.line(b"status")


@case
def a_dropped_function_comes_back(worker, client, admin, f):
    worker.can_do(f)
    worker.send(P.RESET_ABILITIES)
    admin.line(b"drop function " + f)
    client.submit(f)
    worker.can_do(f)
    worker.grab()
    admin.line(b"status")


@case(each=[b"cancel", b"cancel job", b"cancel x", b"cancel job a b", b"cancel x y", b"cancel job a b c"])
def cancel_with_wrong_arguments(value, admin):
    admin.line(value)


@case
def cancel_job_that_is_none(admin):
    admin.line(b"cancel job " + UNKNOWN_HANDLE)
    admin.line(b"cancel job nonsense")


@case
def cancel_a_queued_job(worker, client, admin, f):
    worker.can_do(f)
    job = client.submit(f)
    admin.line(b"cancel job " + job)
    worker.grab()
    admin.line(b"status")


@case
def cancel_a_queued_job_of_two_clients(worker, client, client2, admin, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    client2.submit(f, u)
    admin.line(b"cancel job " + job)
    worker.grab()


@case
def cancel_a_background_job(worker, client, admin, f):
    worker.can_do(f)
    job = client.background(f)
    admin.line(b"CANCEL JOB " + job)
    worker.grab()
    client.send(P.GET_STATUS, job)


@case
def cancel_one_of_several_jobs(worker, client, admin, f):
    worker.can_do(f)
    client.submit(f, b"", b"1")
    job = client.submit(f, b"", b"2")
    client.submit(f, b"", b"3")
    admin.line(b"cancel job " + job)
    for _ in range(3):
        worker.grab()


@case
def cancel_a_job_that_has_ended(worker, client, admin, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"")
    admin.line(b"cancel job " + job)


@case
def show_jobs(worker, client, admin, f):
    worker.can_do(f)
    client.submit(f)
    client.background(f)
    admin.line(b"show jobs")
    worker.grab()
    admin.line(b"show jobs")


@case
def show_jobs_counts_the_runs_that_failed(worker, client, admin, f):
    client.submit(f)
    worker.can_do(f)
    worker.grab()
    worker.close()
    admin.line(b"show jobs")


@case
def show_unique_jobs(worker, client, admin, f, u, v):
    worker.can_do(f)
    job = client.submit(f, u)
    client.background(f, v)
    admin.line(b"show unique jobs")
    worker.grab()
    admin.line(b"show unique jobs")
    worker.send(P.WORK_COMPLETE, job, b"")
    admin.line(b"show unique jobs")


@case(alone=True)
def show_unique_jobs_without_unique_ids(client, admin, f):
    client.submit(f)
    client.submit(f, b"-", b"workload")
    admin.line(b"show unique jobs")


@case(
    each=[b"show", b"show x", b"show x y", b"show unique", b"show unique x", b"show jobs unique", b"SHOW X"]
)
def show_with_wrong_arguments(value, admin):
    admin.line(value)
