"""pygearman_worker.py PORT PREFIX: a worker on pygearman. See catalogue.py for what each function does."""

import sys

import gearman

port, prefix = sys.argv[1:]


class Failed(Exception):
    """Raised by a function that wants WORK_FAIL: the library sends it for every exception."""


class Raised(Exception):
    """Raised by a function that wants WORK_EXCEPTION."""


class Worker(gearman.GearmanWorker):
    def on_job_exception(self, job, exc_info):
        if exc_info[0] is not Raised:
            return super().on_job_exception(job, exc_info)
        # Sends WORK_FAIL after it, which is for a job that is no longer there.
        self.send_job_exception(job, exc_info[1].args[0])
        return False

    def on_gearman_error(self, error_code, error_text):
        super().on_gearman_error(error_code, error_text)
        return True  # with the library's False a NOOP that came behind the ERROR is never looked at


def fail(worker, job):
    raise Failed


def exception(worker, job):
    raise Raised(b"no: " + job.data)


def data(worker, job):
    half = len(job.data) // 2
    worker.send_job_data(job, job.data[:half])
    worker.send_job_data(job, job.data[half:])
    return b""


def warning(worker, job):
    worker.send_job_warning(job, job.data)
    return b"done"


def status(worker, job):
    worker.send_job_status(job, 3, 4)
    return job.data


def gate(worker, job):
    worker.send_job_status(job, 1, 2)
    with open(job.data, "rb") as file:
        return file.read()


FUNCTIONS = {
    "echo": lambda worker, job: job.data,
    "reverse": lambda worker, job: job.data[::-1],
    "fail": fail,
    "exception": exception,
    "data": data,
    "warning": warning,
    "status": status,
    "unique": lambda worker, job: job.unique,
    "gate": gate,
}

worker = Worker([f"127.0.0.1:{port}"])
worker.set_client_id(f"{prefix}-worker".encode())
for name, function in FUNCTIONS.items():
    worker.register_task(f"{prefix}.{name}".encode(), function)
worker.work()
