"""Submissions that join a job which is there already: same function, same unique id."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case


@case
def two_clients_share_a_queued_job(worker, client, client2, admin, f, u):
    worker.can_do(f)
    job = client.submit(f, u, b"first")
    client2.submit(f, u, b"second")
    admin.line(b"status")
    worker.grab()
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"for both")


@case
def two_clients_share_a_running_job(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    worker.send(P.WORK_DATA, job, b"for the first alone")
    client2.submit(f, u)
    worker.send(P.WORK_DATA, job, b"for both")
    worker.send(P.WORK_COMPLETE, job, b"for both")


@case
def every_report_goes_to_every_client(worker, client, client2, client3, f, u):
    worker.can_do(f)
    for peer in (client, client2, client3):
        job = peer.submit(f, u)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"1", b"2")
    worker.send(P.WORK_DATA, job, b"data")
    worker.send(P.WORK_WARNING, job, b"warning")
    worker.send(P.WORK_FAIL, job)


@case
def a_client_that_joins_its_own_job_gets_all_twice(worker, client, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    client.submit(f, u)
    worker.grab()
    worker.send(P.WORK_DATA, job, b"twice")
    worker.send(P.WORK_COMPLETE, job, b"twice")


@case
def background_joins_background(worker, client, client2, admin, f, u):
    worker.can_do(f)
    client.background(f, u, b"first")
    client2.background(f, u, b"second")
    admin.line(b"status")
    worker.grab()
    worker.grab()


@case
def foreground_joins_background(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.background(f, u)
    client2.submit(f, u)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"for the second")


@case
def foreground_joins_running_background(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.background(f, u)
    worker.grab()
    client2.submit(f, u)
    worker.send(P.WORK_DATA, job, b"part")
    worker.send(P.WORK_COMPLETE, job, b"for the second")


@case
def background_joins_foreground(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    client2.background(f, u)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"for the first")


@case
def background_joins_running_foreground(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    client2.background(f, u)
    worker.send(P.WORK_COMPLETE, job, b"for the first")
    client2.send(P.GET_STATUS, job)


@case
def the_same_unique_id_in_two_functions_is_two_jobs(worker, client, client2, f, g, u):
    worker.can_do(f, g)
    client.submit(f, u, b"f")
    client2.submit(g, u, b"g")
    worker.grab()
    worker.grab()


@case
def an_empty_unique_id_joins_nothing(worker, client, f):
    worker.can_do(f)
    client.submit(f, b"", b"same")
    client.submit(f, b"", b"same")
    worker.grab()
    worker.grab()


@case
def unique_ids_are_case_sensitive(client, client2, f, u):
    client.submit(f, u)
    client2.submit(f, u.upper())


@case
def a_unique_id_is_free_again_when_its_job_has_ended(worker, client, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"")
    client.submit(f, u, b"again")
    worker.grab()


@case
def a_joined_job_keeps_its_priority(worker, client, client2, admin, f, u):
    worker.can_do(f)
    client.submit(f, u, b"low", type=P.SUBMIT_JOB_LOW)
    client.submit(f, b"", b"normal")
    client2.submit(f, u, b"high", type=P.SUBMIT_JOB_HIGH)
    admin.line(b"prioritystatus")
    worker.grab()
    worker.grab()


@case
def joining_wakes_nobody(worker, client, client2, f, u):
    worker.can_do(f)
    client.submit(f, u)
    worker.grab()
    worker.sleep()
    client2.submit(f, u)


@case
def one_of_two_clients_leaves(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    client2.submit(f, u)
    client.close()
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"for the one that stayed")


@case
def a_job_that_is_queued_again_keeps_its_clients(worker, worker2, client, client2, f, u):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    client2.submit(f, u)
    worker.close()
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, job, b"for both")


@case
def joining_a_job_that_was_queued_again(worker, worker2, client, client2, f, u):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    worker.close()
    client2.submit(f, u)
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, job, b"for both")


@case
def a_dash_stands_for_the_workload(worker, client, client2, f):
    worker.can_do(f)
    job = client.submit(f, b"-", b"same")
    client2.submit(f, b"-", b"same")
    worker.grab()
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"for both")


@case
def a_dash_with_another_workload_is_another_job(worker, client, client2, f):
    worker.can_do(f)
    client.submit(f, b"-", b"one")
    client2.submit(f, b"-", b"two")
    worker.grab()
    worker.grab()


@case
def a_dash_with_an_empty_workload_joins_nothing(worker, client, client2, f):
    worker.can_do(f)
    client.submit(f, b"-")
    client2.submit(f, b"-")
    worker.grab()
    worker.grab()


@case
def a_dash_in_two_functions_is_two_jobs(client, client2, f, g):
    client.submit(f, b"-", b"same")
    client2.submit(g, b"-", b"same")


@case
def a_dash_joins_the_unique_id_that_is_its_workload(client, client2, f, u):
    client.submit(f, u, u)
    client2.submit(f, b"-", u)


@case
def a_dash_does_not_join_its_workload_as_unique_id_of_another(client, client2, f, u):
    client.submit(f, u, b"workload")
    client2.submit(f, b"-", u)


@case
def a_unique_id_does_not_join_a_dash_with_that_workload(client, client2, f, u):
    client.submit(f, b"-", u)
    client2.submit(f, u, b"workload")


@case
def a_dash_joins_in_the_background(client, client2, f):
    client.background(f, b"-", b"same")
    client2.submit(f, b"-", b"same")


@case
def a_hash_sign_is_a_unique_id_like_any_other(worker, client, client2, f):
    worker.can_do(f)
    client.submit(f, b"#", b"one")
    client2.submit(f, b"#", b"two")
    worker.grab()
    worker.grab()
