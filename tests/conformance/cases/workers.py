"""Workers: what they offer, how they ask for jobs, sleep and are woken."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case

GRABS = (P.GRAB_JOB, P.GRAB_JOB_UNIQ, P.GRAB_JOB_ALL)


@case
def an_offer_has_no_answer_and_is_counted(worker, admin, f, g):
    worker.can_do(f, g)
    admin.line(b"status")
    admin.line(b"workers")


@case
def an_offer_made_twice_counts_twice(worker, admin, f):
    worker.can_do(f, f)
    admin.line(b"status")
    admin.line(b"workers")
    worker.send(P.CANT_DO, f)
    admin.line(b"status")
    admin.line(b"workers")


@case
def an_offer_with_a_nul_is_of_another_function(worker, client, f):
    worker.can_do(f + b"\0")
    client.submit(f)
    worker.grab()


@case
def an_offer_is_withdrawn(worker, client, admin, f, g):
    worker.can_do(f, g)
    client.submit(f)
    worker.send(P.CANT_DO, f)
    worker.grab()
    admin.line(b"status")
    admin.line(b"workers")


@case
def an_offer_is_withdrawn_that_was_not_made(worker, admin, f, g):
    worker.can_do(f)
    worker.send(P.CANT_DO, g)
    admin.line(b"status")
    admin.line(b"workers")


@case
def all_offers_are_withdrawn(worker, client, admin, f, g):
    worker.can_do(f, g)
    client.submit(f)
    worker.send(P.RESET_ABILITIES)
    worker.grab()
    admin.line(b"status")
    admin.line(b"workers")


@case
def an_offer_is_made_again(worker, client, f):
    worker.can_do(f)
    worker.send(P.RESET_ABILITIES)
    client.submit(f)
    worker.can_do(f)
    worker.grab()


@case
def two_workers_are_counted(worker, worker2, admin, f):
    worker.can_do(f)
    worker2.can_do(f)
    admin.line(b"status")
    worker.close()
    admin.line(b"status")
    worker2.close()
    admin.line(b"status")


@case(each=[b"worker-1", b"", b"two words", b"before\0after", b"\xff", b"x" * 127, b"x" * 128, b"x" * 300])
def a_client_id(value, worker, admin, f):
    worker.send(P.SET_CLIENT_ID, value)
    worker.can_do(f)
    admin.line(b"workers")


@case
def a_client_id_is_changed(worker, admin):
    worker.send(P.SET_CLIENT_ID, b"before")
    worker.send(P.SET_CLIENT_ID, b"after")
    admin.line(b"workers")


@case(each=GRABS)
def a_grab_without_offers(value, worker):
    worker.send(value)


@case(each=GRABS)
def a_grab_without_jobs(value, worker, f):
    worker.can_do(f)
    worker.send(value)


@case(each=GRABS)
def a_grab_of_a_plain_job(value, worker, client, f, u):
    worker.can_do(f)
    client.submit(f, u, b"workload")
    worker.send(value)
    worker.send(value)


@case(each=GRABS)
def a_grab_of_a_job_without_unique_id(value, worker, client, f):
    worker.can_do(f)
    client.submit(f, b"", b"workload")
    worker.send(value)


@case
def a_grab_takes_no_job_of_another_function(worker, client, f, g):
    worker.can_do(f)
    client.submit(g)
    worker.grab()


@case
def a_worker_may_hold_several_jobs(worker, client, admin, f):
    worker.can_do(f)
    jobs = [client.submit(f, b"", workload) for workload in (b"1", b"2", b"3")]
    for _ in jobs:
        worker.grab()
    admin.line(b"status")
    for job in reversed(jobs):
        worker.send(P.WORK_COMPLETE, job, b"done")
    admin.line(b"status")


@case
def a_job_goes_to_one_worker(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.submit(f)
    worker.grab()
    worker2.grab()


@case
def a_sleeping_worker_is_woken(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    client.submit(f)
    worker.grab()


@case
def a_worker_does_not_fall_asleep_over_a_job(worker, client, f):
    worker.can_do(f)
    client.submit(f)
    worker.sleep()
    worker.sleep()
    worker.grab()
    worker.sleep()


@case
def an_awake_worker_is_not_woken(worker, client, f):
    worker.can_do(f)
    client.submit(f)


@case
def a_worker_is_woken_once_for_two_jobs(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    client.submit(f)
    client.submit(f)


@case
def every_sleeping_worker_is_woken(worker, worker2, worker3, client, f):
    for peer in (worker, worker2, worker3):
        peer.can_do(f)
        peer.sleep()
    client.submit(f)


@case
def a_worker_of_another_function_sleeps_on(worker, client, f, g):
    worker.can_do(f)
    worker.sleep()
    client.submit(g)


@case
def a_worker_without_offers_sleeps_on(worker, client, f):
    worker.sleep()
    client.submit(f)


@case
def a_worker_is_woken_again_after_a_grab(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    client.submit(f)
    worker.grab()
    worker.sleep()
    client.submit(f)


@case
def a_worker_is_woken_again_after_a_grab_in_vain(worker, worker2, client, f):
    for peer in (worker, worker2):
        peer.can_do(f)
        peer.sleep()
    client.submit(f)
    worker.grab()
    worker2.grab()
    worker2.sleep()
    client.submit(f)


@case
def a_worker_that_grabs_is_awake(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    worker.grab()
    client.submit(f)


@case
def a_second_pre_sleep_changes_nothing(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    worker.sleep()
    client.submit(f)


@case
def a_sleeping_worker_offers_what_has_a_job(worker, client, f, g):
    worker.can_do(f)
    worker.sleep()
    client.submit(g)
    worker.can_do(g)
    client.submit(g)


@case
def a_sleeping_worker_withdraws_its_offer(worker, client, f, g):
    worker.can_do(f, g)
    worker.sleep()
    worker.send(P.CANT_DO, f)
    client.submit(f)
    client.submit(g)


@case
def a_sleeping_worker_withdraws_all(worker, client, f):
    worker.can_do(f)
    worker.sleep()
    worker.send(P.RESET_ABILITIES)
    client.submit(f)


@case
def a_worker_sleeps_with_a_job_in_hand(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.sleep()
    client.submit(f)
    worker.send(P.WORK_COMPLETE, job, b"")


@case
def a_noop_precedes_the_acknowledgement_on_one_connection(peer, f):
    peer.can_do(f)
    peer.sleep()
    peer.submit(f)


@case
def a_client_that_sleeps_hears_of_its_job(peer, worker, f, g):
    worker.can_do(f)
    job = peer.submit(f)
    peer.can_do(g)
    peer.sleep()
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"for a sleeper")


@case
def a_job_for_two_functions_of_one_sleeper_wakes_it_once(worker, client, f, g):
    worker.can_do(f, g)
    worker.sleep()
    client.submit(f)
    client.submit(g)
    worker.grab()
    worker.grab()


@case(worker_wakeup=1)
def one_worker_is_woken_for_a_job(worker, worker2, worker3, client, f):
    for peer in (worker, worker2, worker3):
        peer.can_do(f)
        peer.sleep()
    for _ in range(4):
        client.submit(f)


@case(worker_wakeup=2)
def two_workers_are_woken_for_a_job(worker, worker2, worker3, client, f):
    for peer in (worker, worker2, worker3):
        peer.can_do(f)
        peer.sleep()
    client.submit(f)
    client.submit(f)


@case(worker_wakeup=1)
def wake_ups_go_round(worker, worker2, worker3, client, f):
    for peer in (worker, worker2, worker3):
        peer.can_do(f)
        peer.sleep()
    for _ in range(6):
        client.submit(f)
        for peer in (worker, worker2, worker3):
            peer.grab()
            peer.sleep()


@case(worker_wakeup=1)
def an_awake_worker_is_passed_over(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    worker2.sleep()
    client.submit(f)
