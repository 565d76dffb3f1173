"""Connection options, of which there is one: `exceptions`."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case


@case(each=[b"exceptions", b"EXCEPTIONS", b"Exceptions", b"exceptions\0"])
def the_option_is_confirmed_as_it_was_sent(value, client):
    client.send(P.OPTION_REQ, value)


@case(
    each=[b"", b"exception", b"exceptionsx", b" exceptions", b"reconnect", b"x" * 63, b"x" * 64, b"x" * 300]
)
def an_unknown_option_is_refused(value, client):
    client.send(P.OPTION_REQ, value)
    client.send(P.ECHO_REQ, b"the connection goes on")


@case
def an_exception_reaches_a_client_that_asked_for_it(worker, client, f):
    worker.can_do(f)
    client.send(P.OPTION_REQ, b"exceptions")
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_EXCEPTION, job, b"what went wrong")
    worker.send(P.WORK_FAIL, job)


@case
def the_option_may_come_after_the_job(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    client.send(P.OPTION_REQ, b"exceptions")
    worker.send(P.WORK_EXCEPTION, job, b"what went wrong")


@case
def the_option_of_the_worker_is_not_that_of_the_client(worker, client, f):
    worker.can_do(f)
    worker.send(P.OPTION_REQ, b"exceptions")
    job = client.background(f)
    worker.grab()
    worker.send(P.WORK_EXCEPTION, job, b"what went wrong")


@case(exceptions=True)
def the_server_turns_the_option_on_for_all(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    client2.submit(f, u)
    worker.grab()
    worker.send(P.WORK_EXCEPTION, job, b"what went wrong")
