"""How often a job is given to a worker: `--job-retries`, and workers that take too long."""

from __future__ import annotations

from gearcore.protocol import PacketType as P

from ..case import case


@case
def without_a_limit_a_job_is_given_again_and_again(s, client, admin, f):
    client.submit(f)
    s.run_and_vanish(f, 5)
    admin.line(b"status")


@case(job_retries=1)
def one_run(s, client, admin, f):
    client.submit(f)
    s.run_and_vanish(f, 2)
    admin.line(b"status")


@case(job_retries=2)
def two_runs(s, client, admin, f):
    client.submit(f)
    s.run_and_vanish(f, 3)
    admin.line(b"status")


@case(job_retries=3)
def three_runs(s, client, admin, f):
    client.submit(f)
    s.run_and_vanish(f, 4)
    admin.line(b"status")


@case(job_retries=2)
def runs_of_a_background_job(s, client, admin, f):
    job = client.background(f)
    s.run_and_vanish(f, 3)
    admin.line(b"status")
    client.send(P.GET_STATUS, job)


@case(job_retries=2)
def every_client_hears_that_the_runs_are_over(s, client, client2, f, u):
    client.submit(f, u)
    client2.submit(f, u)
    s.run_and_vanish(f, 2)


@case(job_retries=2)
def the_admin_sees_the_runs(s, client, admin, f):
    client.submit(f)
    admin.line(b"show jobs")
    s.run_and_vanish(f, 1)
    admin.line(b"show jobs")
    s.run_and_vanish(f, 1)
    admin.line(b"show jobs")


@case(job_retries=2)
def a_withdrawn_offer_counts_as_a_run(worker, worker2, client, f):
    client.submit(f)
    worker.can_do(f)
    worker.grab()
    worker.send(P.CANT_DO, f)
    worker2.can_do(f)
    worker2.grab()
    worker2.send(P.RESET_ABILITIES)


@case(job_retries=1)
def a_job_that_fails_by_itself_is_not_retried(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_FAIL, job)
    worker.grab()


@case(job_retries=1)
def several_jobs_of_a_vanished_worker(worker, client, client2, f):
    worker.can_do(f)
    client.submit(f)
    client2.submit(f)
    worker.grab()
    worker.grab()
    worker.close()


@case(job_retries=1)
def jobs_of_two_functions_of_a_vanished_worker(worker, client, f, g):
    worker.can_do(f, g)
    client.submit(f)
    client.submit(g)
    worker.grab()
    worker.grab()
    worker.close()


@case(job_retries=1)
def a_unique_id_is_free_again_after_the_last_run(s, worker, client, f, u):
    client.submit(f, u)
    s.run_and_vanish(f, 1)
    client.submit(f, u)
    worker.can_do(f)
    worker.grab()


@case(job_retries=1)
def a_worker_that_ends_its_job_may_leave(worker, client, f):
    worker.can_do(f)
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_COMPLETE, job, b"")
    worker.close()
    client.send(P.GET_STATUS, job)


# gearmand keeps the timer of a job for longer than the job: each of these has a server of its own


@case(alone=True)
def a_job_that_takes_too_long_is_given_to_another(s, worker, worker2, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"1000")
    admin.line(b"workers")
    job = client.submit(f)
    worker.grab()
    worker.send(P.WORK_STATUS, job, b"1", b"2")
    worker2.can_do(f)
    worker2.sleep()
    s.wait(0.7)
    worker2.await_answer()
    client.send(P.GET_STATUS, job)
    admin.line(b"status")
    worker2.grab()
    worker.send(P.WORK_COMPLETE, job, b"too late")
    worker2.send(P.WORK_COMPLETE, job, b"in time")


@case(alone=True, job_retries=1)
def a_job_that_takes_too_long_in_its_last_run_has_failed(s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"1")
    client.submit(f)
    worker.grab()
    s.wait(0.7)
    client.await_answer()
    admin.line(b"status")


@case(alone=True)
def a_job_is_in_time(s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"1000")
    job = client.submit(f)
    worker.grab()
    s.wait(0.5)
    worker.send(P.WORK_COMPLETE, job, b"in time")
    worker.sleep()
    s.wait(0.8)
    admin.line(b"status")


@case(each=[b"0", b"-1", b"", b"soon"], alone=True)
def no_time_limit(value, s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, value)
    job = client.submit(f)
    worker.grab()
    s.wait(1.3)
    admin.line(b"status")
    worker.send(P.WORK_COMPLETE, job, b"after a while")


@case(alone=True)
def a_longer_time_limit(s, worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"2000")
    client.submit(f)
    worker.grab()
    s.wait(1.3)
    admin.line(b"status")
    s.wait(1.2)
    admin.line(b"status")


@case
def an_offer_with_a_time_limit_is_an_offer(worker, client, admin, f):
    worker.send(P.CAN_DO_TIMEOUT, f, b"60000")
    worker.sleep()
    client.submit(f)
    admin.line(b"workers")
    admin.line(b"status")
    worker.send(P.CANT_DO, f)
    admin.line(b"status")
