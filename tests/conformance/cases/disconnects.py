"""Peers that leave, at every step of a job's life."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case
from ..script import pack


@case
def a_peer_leaves_that_did_nothing(peer, admin):
    peer.close()
    admin.line(b"workers")


@case
def a_worker_leaves_that_offered_functions(worker, client, admin, f, g):
    worker.can_do(f, g)
    worker.close()
    admin.line(b"status")
    client.submit(f)
    admin.line(b"status")


@case
def a_worker_leaves_in_its_sleep(worker, worker2, client, f):
    for peer in (worker, worker2):
        peer.can_do(f)
        peer.sleep()
    worker.close()
    client.submit(f)


@case
def a_worker_leaves_after_its_noop(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    worker.sleep()
    client.submit(f)
    worker.close()
    worker2.grab()


@case
def a_worker_leaves_with_a_job_in_hand(worker, worker2, client, admin, f):
    worker.can_do(f)
    worker2.can_do(f)
    worker2.sleep()
    job = client.submit(f)
    worker.grab()
    admin.line(b"status")
    worker.close()
    admin.line(b"status")
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, job, b"by the second")


@case
def a_sleeping_worker_is_woken_for_a_job_given_back(worker, worker2, client, f):
    worker.can_do(f)
    client.submit(f)
    worker.grab()
    worker2.can_do(f)
    worker2.sleep()
    worker.close()
    worker2.grab()


@case
def a_worker_leaves_with_a_background_job_in_hand(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.background(f, b"", b"workload")
    worker.grab()
    worker.close()
    worker2.grab()


@case
def a_worker_leaves_in_the_middle_of_its_reports(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_DATA, job, b"half of it")
    worker.send(P.WORK_STATUS, job, b"1", b"2")
    worker.close()
    client.send(P.GET_STATUS, job)
    worker2.grab()
    worker2.send(P.WORK_DATA, job, b"all of it")
    worker2.send(P.WORK_COMPLETE, job, b"")


@case
def a_worker_leaves_in_the_middle_of_a_packet(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.part(pack(P.WORK_COMPLETE, job, b"a result that is cut off")[:-10])
    worker.close()
    worker2.grab()


@case
def a_worker_leaves_after_the_end_of_its_job(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"")
    worker.close()
    worker2.grab()


@case
def a_worker_leaves_with_jobs_of_two_functions(worker, worker2, client, admin, f, g):
    worker.can_do(f, g)
    for function in (f, g):
        client.submit(function)
        worker.grab()
    admin.line(b"status")
    worker.close()
    admin.line(b"status")
    worker2.can_do(f, g)
    worker2.grab()
    worker2.grab()


@case
def one_worker_after_the_other_leaves(worker, worker2, worker3, client, f):
    job = client.submit(f)
    for peer in (worker, worker2):
        peer.can_do(f)
        peer.grab()
        peer.close()
    worker3.can_do(f)
    worker3.grab()
    worker3.send(P.WORK_COMPLETE, job, b"at last")


@case
def a_worker_withdraws_the_function_of_its_job(worker, worker2, client, admin, f):
    worker.can_do(f)
    worker2.can_do(f)
    worker2.sleep()
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"1", b"2")
    worker.send(P.CANT_DO, f)
    admin.line(b"status")
    client.send(P.GET_STATUS, job)
    worker.send(P.WORK_COMPLETE, job, b"too late")
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, job, b"in time")


@case
def a_worker_withdraws_another_function_than_that_of_its_job(worker, client, f, g):
    worker.can_do(f, g)
    job = client.submit(f)
    worker.grab()
    worker.send(P.CANT_DO, g)
    worker.send(P.WORK_COMPLETE, job, b"still its own")


@case
def a_worker_withdraws_all_with_jobs_in_hand(worker, worker2, client, f, g):
    worker.can_do(f, g)
    jobs = [client.submit(function) for function in (f, g)]
    worker.grab()
    worker.grab()
    worker.send(P.RESET_ABILITIES)
    for job in jobs:
        worker.send(P.WORK_COMPLETE, job, b"too late")
    worker2.can_do(f, g)
    worker2.grab()
    worker2.grab()


@case
def a_client_leaves_before_its_job_is_grabbed(worker, client, f):
    worker.can_do(f)
    client.submit(f)
    client.close()
    worker.grab()


@case
def a_worker_sleeps_over_a_job_whose_client_has_left(worker, client, f):
    worker.can_do(f)
    client.submit(f)
    client.close()
    worker.sleep()
    worker.grab()


@case
def a_client_leaves_with_one_of_several_jobs_in_the_queue(worker, client, client2, f):
    worker.can_do(f)
    client2.submit(f, b"", b"1")
    client.submit(f, b"", b"2")
    client2.submit(f, b"", b"3")
    client.close()
    for _ in range(3):
        worker.grab()


@case
def a_client_leaves_while_its_job_runs(worker, client, admin, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    client.close()
    admin.line(b"status")
    worker.send(P.GET_STATUS, job)
    worker.send(P.WORK_COMPLETE, job, b"for nobody")
    admin.line(b"status")


@case
def a_client_leaves_and_then_the_worker(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.submit(f)
    worker.grab()
    client.close()
    worker.close()
    worker2.grab()


@case
def a_client_leaves_and_another_joins_the_running_job(worker, client, client2, f, u):
    worker.can_do(f)
    job = client.submit(f, u)
    worker.grab()
    client.close()
    client2.submit(f, u)
    worker.send(P.WORK_COMPLETE, job, b"for the second")


@case
def a_client_leaves_its_background_job_behind(worker, client, f):
    client.background(f, b"", b"workload")
    client.close()
    worker.can_do(f)
    worker.grab()


@case
def a_client_leaves_after_the_end_of_its_job(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"")
    client.close()
    worker.grab()


@case
def a_client_leaves_in_the_middle_of_a_packet(client, admin, f):
    client.part(pack(P.SUBMIT_JOB, f, b"", b"a workload that is cut off")[:-10])
    client.close()
    admin.line(b"status")


@case
def a_client_leaves_in_the_middle_of_a_header(client, admin, f):
    client.submit(f)
    client.part(pack(P.SUBMIT_JOB, f, b"", b"")[:7])
    client.close()
    admin.line(b"workers")


@case
def a_worker_is_killed_with_a_job_in_hand(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.abort()
    worker2.grab()
    worker2.send(P.WORK_COMPLETE, job, b"by the second")


@case
def a_client_is_killed(worker, client, admin, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    client.abort()
    worker.send(P.WORK_COMPLETE, job, b"for nobody")
    admin.line(b"workers")


@case
def a_client_closes_for_writing(worker, client, admin, f):
    worker.can_do(f)
    client.submit(f)
    client.half_close()
    worker.grab()
    admin.line(b"workers")


@case
def a_worker_closes_for_writing(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.submit(f)
    worker.grab()
    worker.half_close()
    worker2.grab()


@case
def a_peer_leaves_that_is_client_and_worker_of_its_job(peer, worker, f):
    peer.can_do(f)
    peer.submit(f)
    peer.grab()
    peer.close()
    worker.can_do(f)
    worker.grab()


@case
def a_peer_leaves_that_is_client_of_one_job_and_worker_of_another(peer, worker, client, f, g):
    peer.can_do(f)
    client.submit(f, b"", b"in hand")
    peer.grab()
    peer.submit(g, b"", b"waited for")
    peer.close()
    worker.can_do(f, g)
    worker.grab()
    worker.grab()
