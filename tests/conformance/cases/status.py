"""Clients: to ask how a job stands, by its handle or its unique id."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case
from ..script import UNKNOWN_HANDLE


@case(
    each=[
        UNKNOWN_HANDLE,
        b"",
        b"nonsense",
        b"H:elsewhere:1",
        b"H:t:",
        b"H:t:0",
        b"H:t:1x",
        b"H:t:-1",
        b"H:t:01",
    ]
)
def the_status_of_a_handle_that_is_none(value, client):
    client.send(P.GET_STATUS, value)


@case
def the_status_of_a_queued_job(client, f):
    client.send(P.GET_STATUS, client.submit(f))


@case
def the_status_of_a_queued_background_job(client, f):
    client.send(P.GET_STATUS, client.background(f))


@case
def the_status_of_a_running_job(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    client.send(P.GET_STATUS, job)


@case
def the_status_of_a_job_that_reported_progress(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"1", b"4")
    client.send(P.GET_STATUS, job)
    worker.send(P.WORK_STATUS, job, b"3", b"4")
    client.send(P.GET_STATUS, job)


@case(each=[P.WORK_COMPLETE, P.WORK_FAIL])
def the_status_of_a_job_that_has_ended(value, worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(value, *([job, b""] if value is P.WORK_COMPLETE else [job]))
    client.send(P.GET_STATUS, job)


@case
def the_status_of_a_job_whose_progress_its_worker_took_with_it(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"1", b"4")
    worker.close()
    client.send(P.GET_STATUS, job)


@case
def anybody_may_ask_for_the_status(client, client2, f):
    client2.send(P.GET_STATUS, client.submit(f))


@case
def the_status_of_a_handle_with_a_nul_behind(client, f):
    client.send(P.GET_STATUS, client.submit(f) + b"\0")
    client.send(P.GET_STATUS, UNKNOWN_HANDLE + b"\0")


@case
def the_status_of_an_unknown_unique_id(client, u):
    client.send(P.GET_STATUS_UNIQUE, u)


@case
def the_status_of_no_unique_id(client, f):
    client.submit(f, b"", b"x")
    client.send(P.GET_STATUS_UNIQUE, b"")


@case
def the_status_of_a_queued_unique_id(client, f, u):
    client.submit(f, u)
    client.send(P.GET_STATUS_UNIQUE, u)


@case
def the_status_of_a_unique_id_in_the_background(client, f, u):
    client.background(f, u)
    client.send(P.GET_STATUS_UNIQUE, u)


@case
def the_status_of_a_running_unique_id(worker, client, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"7", b"9")
    client.send(P.GET_STATUS_UNIQUE, u)
    worker.send(P.WORK_COMPLETE, job, b"")
    client.send(P.GET_STATUS_UNIQUE, u)


@case
def the_status_of_a_unique_id_counts_the_clients(client, client2, client3, f, u):
    for peer in (client, client2, client3):
        peer.submit(f, u)
        client.send(P.GET_STATUS_UNIQUE, u)
    client3.close()
    client.send(P.GET_STATUS_UNIQUE, u)


@case
def the_status_of_a_dash_as_unique_id(client, f):
    client.submit(f, b"-", b"x")
    client.send(P.GET_STATUS_UNIQUE, b"-")
    client.send(P.GET_STATUS_UNIQUE, b"x")


@case
def the_status_of_a_unique_id_with_a_nul_behind(client, f, u):
    client.submit(f, u)
    client.send(P.GET_STATUS_UNIQUE, u + b"\0")


@case
def the_status_of_a_unique_id_in_two_functions(client, client2, f, g, u):
    client.submit(f, u)
    client2.submit(g, u)
    client2.submit(g, u)
    client.send(P.GET_STATUS_UNIQUE, u)
