"""Which of several jobs a worker gets."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case

EACH_PRIORITY = (P.SUBMIT_JOB_LOW_BG, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH_BG)


@case
def high_before_normal_before_low(worker, client, f):
    worker.can_do(f)
    for priority in EACH_PRIORITY:
        client.submit(f, b"", priority.name.encode(), type=priority)
    for _ in range(4):
        worker.grab()


@case
def foreground_and_background_share_a_priority(worker, client, f):
    worker.can_do(f)
    client.submit(f, b"", b"1", type=P.SUBMIT_JOB_HIGH_BG)
    client.submit(f, b"", b"2", type=P.SUBMIT_JOB_HIGH)
    client.submit(f, b"", b"3", type=P.SUBMIT_JOB_HIGH_BG)
    for _ in range(3):
        worker.grab()


@case
def first_come_first_served(worker, client, client2, f):
    worker.can_do(f)
    for number in range(3):
        client.submit(f, b"", b"first %d" % number)
        client2.submit(f, b"", b"second %d" % number)
    for _ in range(6):
        worker.grab()


@case
def the_function_offered_last_is_served_first(worker, client, f, g, h):
    worker.can_do(f, g, h)
    for function in (f, g, h):
        client.background(function, b"", b"1")
        client.background(function, b"", b"2")
    for _ in range(6):
        worker.grab()


@case
def the_order_of_functions_goes_before_priority(worker, client, f, g):
    worker.can_do(f, g)
    client.submit(f, b"", b"high", type=P.SUBMIT_JOB_HIGH_BG)
    client.submit(g, b"", b"low", type=P.SUBMIT_JOB_LOW_BG)
    worker.grab()
    worker.grab()


@case
def a_function_offered_again_comes_first(worker, client, f, g):
    worker.can_do(f, g, f)
    client.background(f)
    client.background(g)
    worker.grab()
    worker.grab()


@case
def a_function_withdrawn_and_offered_again_comes_first(worker, client, f, g):
    worker.can_do(f, g)
    worker.send(P.CANT_DO, f)
    worker.can_do(f)
    client.background(f)
    client.background(g)
    worker.grab()
    worker.grab()


@case
def a_function_offered_last_goes_on_being_first(worker, client, f, g):
    worker.can_do(f, g)
    for _ in range(2):
        client.background(f)
        client.background(g)
        worker.grab()
        client.background(g)
        worker.grab()


@case(round_robin=True)
def functions_are_served_in_turn(worker, client, f, g, h):
    worker.can_do(f, g, h)
    for function in (f, g, h):
        for number in (b"1", b"2", b"3"):
            client.background(function, b"", number)
    for _ in range(9):
        worker.grab()


@case(round_robin=True)
def a_turn_passes_over_functions_without_jobs(worker, client, f, g, h):
    worker.can_do(f, g, h)
    for number in (b"1", b"2"):
        client.background(f, b"", number)
        client.background(h, b"", number)
    worker.grab()
    client.background(g)
    for _ in range(4):
        worker.grab()


@case(round_robin=True)
def the_next_turn_is_that_of_a_function_offered_meanwhile(worker, client, f, g, h):
    worker.can_do(f, g)
    for function in (f, g, h):
        client.background(function)
    worker.grab()
    worker.can_do(h)
    worker.grab()
    worker.grab()


@case(round_robin=True)
def workers_lists_functions_in_the_order_of_their_turns(worker, client, admin, f, g, h):
    worker.can_do(f, g, h)
    for function in (f, g, h):
        client.background(function)
    for _ in range(3):
        worker.grab()
        admin.line(b"workers")


@case(round_robin=True)
def a_turn_goes_before_priority(worker, client, f, g):
    worker.can_do(f, g)
    client.submit(f, b"", b"high", type=P.SUBMIT_JOB_HIGH_BG)
    client.submit(f, b"", b"low", type=P.SUBMIT_JOB_LOW_BG)
    client.submit(g, b"", b"high", type=P.SUBMIT_JOB_HIGH_BG)
    client.submit(g, b"", b"low", type=P.SUBMIT_JOB_LOW_BG)
    for _ in range(4):
        worker.grab()


@case(round_robin=True)
def every_worker_has_turns_of_its_own(worker, worker2, client, f, g):
    worker.can_do(f, g)
    worker2.can_do(f, g)
    for function in (f, g):
        for number in (b"1", b"2", b"3"):
            client.background(function, b"", number)
    for _ in range(3):
        worker.grab()
        worker2.grab()


@case
def a_job_given_back_goes_to_the_end_of_its_queue(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    for workload in (b"1", b"2", b"3"):
        client.submit(f, b"", workload)
    worker.grab()
    worker.close()
    for _ in range(3):
        worker2.grab()


@case
def several_jobs_given_back_come_newest_first(worker, worker2, client, f):
    worker.can_do(f)
    worker2.can_do(f)
    for workload in (b"1", b"2", b"3", b"4"):
        client.submit(f, b"", workload)
    for _ in range(3):
        worker.grab()
    worker.close()
    for _ in range(4):
        worker2.grab()


@case
def a_job_given_back_keeps_its_priority(worker, worker2, client, admin, f):
    worker.can_do(f)
    worker2.can_do(f)
    client.submit(f, b"", b"high", type=P.SUBMIT_JOB_HIGH)
    worker.grab()
    client.submit(f, b"", b"normal")
    worker.close()
    admin.line(b"prioritystatus")
    worker2.grab()
    worker2.grab()
